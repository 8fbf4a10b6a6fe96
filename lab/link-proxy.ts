import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { LinkCondition } from "./link-condition.ts";
import { type LinkBytes, LinkConnection } from "./link-connection.ts";

export type LinkProxyInit = {
  /** Where the leaf dials; port 0: the OS chooses. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The hub's own listener. */
  readonly target: { readonly host: string; readonly port: number };
  /** In [0, 1), decides which segments stall; a test passes a seeded one. */
  readonly random?: () => number;
};

/** The lab's breakable link: a TCP relay between a leaf and its hub that can be cut, silenced and slowed. */
export class LinkProxy implements AsyncDisposable {
  readonly #init: LinkProxyInit;
  readonly #connections = new Set<LinkConnection>();
  readonly #bytes: LinkBytes = { toHub: 0, toLeaf: 0 };
  #condition: LinkCondition = { state: "up" };
  #server: Server | undefined;
  #port: number;
  #accepted = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(init: LinkProxyInit) {
    this.#init = init;
    this.#port = init.listen.port;
  }

  get port(): number {
    return this.#port;
  }

  get condition(): LinkCondition {
    return this.#condition;
  }

  /** Payload that has crossed in each direction since the start. */
  get bytes(): Readonly<LinkBytes> {
    return { ...this.#bytes };
  }

  /** Connections ever accepted, and now open. */
  get connections(): { readonly accepted: number; readonly open: number } {
    return { accepted: this.#accepted, open: this.#connections.size };
  }

  /** Listens. @throws the listener's error (EADDRINUSE) */
  async start(): Promise<void> {
    await this.#inTurn(() => this.#listen());
  }

  /** Returns when the condition holds: after `down` every socket is closed and new ones are refused. */
  async set(condition: LinkCondition): Promise<void> {
    await this.#inTurn(async () => {
      this.#condition = condition;
      if (condition.state === "down") this.#unlisten();
      for (const connection of this.#connections) connection.setCondition(condition);
      if (condition.state === "down") await Promise.all([...this.#connections].map(({ closed }) => closed));
      else await this.#listen();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.set({ state: "down" });
  }

  async #listen(): Promise<void> {
    if (this.#server) return;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (leaf) => {
      if (this.#condition.state === "down") {
        leaf.destroy();
        return;
      }
      this.#accepted++;
      const connection = new LinkConnection({
        leaf,
        target: this.#init.target,
        condition: this.#condition,
        random: this.#init.random ?? Math.random,
        bytes: this.#bytes,
      });
      this.#connections.add(connection);
      void connection.closed.then(() => this.#connections.delete(connection));
    });
    server.listen({ host: this.#init.listen.host, port: this.#port });
    await once(server, "listening");
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
    this.#server = server;
  }

  /** The listening socket closes at once; the server's own "close" would wait for the connections, which we end. */
  #unlisten(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => {});
    return done;
  }
}
