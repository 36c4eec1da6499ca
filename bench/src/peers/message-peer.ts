// What a contender with messages offers to B7. The one workflow that all run waits for a number, and returns the next.

export interface MessagePeer {
  /** Runs the workflows in this process; `received` is called in a workflow's body as soon as it has its number. */
  launch(databaseUrl: string, received: (workflowID: string) => void): Promise<MessageApp>;
  /** Sends from a process that runs no workflows, in the way of the contender's manual. */
  connect(databaseUrl: string): Promise<Sender>;
}

interface Sender {
  send(workflowID: string, value: number): Promise<void>;
  close(): Promise<void>;
}

export interface MessageApp extends Sender {
  start(): Promise<{ workflowID: string; result(): Promise<number> }>;
  /** The processes of the contender's own server, if it has one. */
  serverPids?: readonly number[];
}
