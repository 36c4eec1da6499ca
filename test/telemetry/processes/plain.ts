// A program on a machine without OpenTelemetry: `node plain.ts DATABASE_URL`. Says what it sees, one JSON a line.
import { register } from 'node:module';
import { MessageChannel } from 'node:worker_threads';

const hooks = `
  let port;
  export const initialize = (given) => { port = given; };
  export const resolve = (specifier, context, next) => {
    if (specifier !== '@opentelemetry/api') return next(specifier, context);
    port.postMessage(specifier);
    throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
  };`;
const { port1, port2 } = new MessageChannel();
port1.on('message', (refused) => say({ refused })).unref();
register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: port2, transferList: [port2] });

const say = (what: object): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);
const ignore = (): void => {};
const info = (...args: unknown[]): boolean => say({ ...(args[0] as object), msg: args[1] });

const { Pawl } = await import('@pawl/core');
const pawl = new Pawl({
  database: process.argv[2] as string,
  logger: { debug: ignore, info, warn: ignore, error: ignore },
});
const flow = pawl.registerWorkflow(
  async () => {
    await pawl.runStep(() => pawl.logger.info('in the step'), { name: 'step' });
    return 'done';
  },
  { name: 'flow' },
);
await pawl.launch();
const handle = await pawl.startWorkflow(flow, { workflowID: 'w' })();
say({ result: await handle.getResult() });
await pawl.shutdown();
