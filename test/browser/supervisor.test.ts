// What the supervisor of the widget store promises to whoever starts it, seen from its terminal.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { startShop } from '../../examples/widget-store/src/start-shop.ts';

test('a taken port is said in one line, with the way out', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as AddressInfo;
  await expect(startShop({ port })).rejects.toThrow(
    `Port ${port} is taken. Choose another one: PORT=${port + 1}`,
  );
  holder.close();
});

test('Ctrl-C stops the shop with it, in order', async () => {
  const shop = await startShop();
  const pid = shop.pid!;
  expect(await shop.stop()).toBe(0);
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  await expect(fetch(shop.url)).rejects.toThrow();
});

test('a shop that cannot start ends the supervisor, which says why', async () => {
  const unreachable = 'postgres://nobody@127.0.0.1:1/none';
  await expect(startShop({ databaseURL: unreachable })).rejects.toThrow('The shop did not start');
});

test('the page is served with a policy that runs nothing but its own scripts', async () => {
  const shop = await startShop();
  const response = await fetch(shop.url);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  expect(await response.text()).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style="/);
  await shop.stop();
});
