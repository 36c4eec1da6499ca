// What happened, line by line, and how the shop's process is: kept by the supervisor, so that the page can watch
// a crash from the outside. Server-sent events; a page that lost its connection gets what it missed.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ProcessState {
  state: 'starting' | 'up' | 'down';
  /** 1 is the first process of this supervisor, and each restart adds one. */
  process: number;
  pid: number | null;
}

export interface Line {
  at: string;
  source: 'supervisor' | 'shop' | 'provider';
  process: number;
  text: string;
}

const KEPT = 300;
const HEARTBEAT_MILLISECONDS = 15_000;

export class Activity {
  /** Event ids of another supervisor mean nothing to this one. */
  readonly #era = randomUUID().slice(0, 8);
  readonly #lines: Line[] = [];
  readonly #watchers = new Set<ServerResponse>();
  #written = 0;
  #state: ProcessState = { state: 'starting', process: 0, pid: null };

  get state(): ProcessState {
    return this.#state;
  }

  set state(next: ProcessState) {
    this.#state = next;
    for (const watcher of this.#watchers) watcher.write(stateEvent(next));
  }

  write(source: Line['source'], text: string): void {
    const line = { at: new Date().toISOString(), source, process: this.#state.process, text };
    this.#lines.push(line);
    this.#written += 1;
    if (this.#lines.length > KEPT) this.#lines.shift();
    for (const watcher of this.#watchers) watcher.write(this.#lineEvent(line, this.#written));
    console.log(source === 'shop' ? `[${line.process}] ${text}` : `[${source}] ${text}`);
  }

  stream(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    const [era, seen] = String(request.headers['last-event-id'] ?? '').split(':');
    const first = this.#written - this.#lines.length + 1;
    for (const [index, line] of this.#lines.entries()) {
      if (era !== this.#era || first + index > Number(seen))
        response.write(this.#lineEvent(line, first + index));
    }
    response.write(stateEvent(this.#state));
    const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MILLISECONDS);
    this.#watchers.add(response);
    response.on('close', () => {
      clearInterval(heartbeat);
      this.#watchers.delete(response);
    });
  }

  #lineEvent(line: Line, number: number): string {
    return `id: ${this.#era}:${number}\nevent: line\ndata: ${JSON.stringify(line)}\n\n`;
  }
}

function stateEvent(state: ProcessState): string {
  return `event: state\ndata: ${JSON.stringify(state)}\n\n`;
}
