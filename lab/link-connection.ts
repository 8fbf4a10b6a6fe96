import { connect, type Socket } from "node:net";
import type { LinkCondition } from "./link-condition.ts";
import { LinkLane } from "./link-lane.ts";

/** Payload that has crossed the link, in bytes. */
export type LinkBytes = { toHub: number; toLeaf: number };

export type LinkConnectionInit = {
  /** The leaf's side, accepted and not yet read. */
  readonly leaf: Socket;
  readonly target: { readonly host: string; readonly port: number };
  readonly condition: LinkCondition;
  /** In [0, 1). */
  readonly random: () => number;
  /** Counted on. */
  readonly bytes: LinkBytes;
};

/** How much a leaf may say to a black hole before the hub is dialled; a NATS leaf waits for the hub to speak first. */
const unansweredBytes = 64 * 1024;

/** One connection through the link: the leaf's socket, the hub's, and a lane for each direction. */
export class LinkConnection {
  /** Both sockets are gone. */
  readonly closed: Promise<void>;
  readonly #init: LinkConnectionInit;
  readonly #allClosed: () => void;
  #condition: LinkCondition;
  #hub: Socket | undefined;
  #lanes: LinkLane[] = [];
  #openSockets = 0;
  #answer: (() => void) | undefined;

  constructor(init: LinkConnectionInit) {
    this.#init = init;
    this.#condition = init.condition;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#allClosed = resolve;
    init.leaf.setNoDelay(true);
    this.#watchClose(init.leaf);
    if (init.condition.state === "blackhole") this.#waitUnanswered();
    else this.#dial([]);
  }

  setCondition(condition: LinkCondition): void {
    this.#condition = condition;
    if (condition.state === "down") this.#close();
    else if (condition.state === "up" && this.#answer) this.#answer();
    else for (const lane of this.#lanes) lane.setCondition(condition);
  }

  /** Accepted by a black hole: whoever gives up meanwhile never reaches the hub, whoever waits is connected on. */
  #waitUnanswered(): void {
    const { leaf } = this.#init;
    const held: Buffer[] = [];
    let heldBytes = 0;
    const hold = (bytes: Buffer) => {
      held.push(bytes);
      heldBytes += bytes.length;
      if (heldBytes >= unansweredBytes) leaf.pause();
    };
    const giveUp = () => this.#close();
    leaf.on("data", hold).on("end", giveUp).on("error", giveUp).resume();
    this.#answer = () => {
      this.#answer = undefined;
      leaf.off("data", hold).off("end", giveUp).off("error", giveUp).pause();
      this.#dial(held);
    };
  }

  #dial(held: readonly Buffer[]): void {
    const { leaf, random, bytes, target } = this.#init;
    const hub = connect({ ...target, allowHalfOpen: true, noDelay: true });
    this.#hub = hub;
    this.#watchClose(hub);
    for (const chunk of held.toReversed()) leaf.unshift(chunk);
    const common = { condition: this.#condition, random, onBroken: () => this.#close() };
    const toHub = (count: number) => {
      bytes.toHub += count;
    };
    const toLeaf = (count: number) => {
      bytes.toLeaf += count;
    };
    this.#lanes = [
      new LinkLane({ ...common, from: leaf, to: hub, onDelivered: toHub }),
      new LinkLane({ ...common, from: hub, to: leaf, onDelivered: toLeaf }),
    ];
  }

  #watchClose(socket: Socket): void {
    this.#openSockets++;
    socket.once("close", () => {
      if (--this.#openSockets === 0) this.#allClosed();
    });
  }

  #close(): void {
    this.#answer = undefined;
    for (const lane of this.#lanes) lane.close();
    // A late error of a socket that is being destroyed says nothing new.
    for (const socket of [this.#init.leaf, this.#hub]) socket?.on("error", () => {}).destroy();
  }
}
