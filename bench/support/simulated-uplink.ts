import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { UplinkMachine } from "../../agent/uplink/uplink-machine.ts";
import type { UplinkOutput } from "../../agent/uplink/uplink-output.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { encodeBlock } from "../../shared/protocol/block.ts";
import { uuidv7 } from "../../shared/protocol/identity.ts";
import { ingestReply } from "../../shared/protocol/messages.ts";
import { eventSubject, ingestSubject } from "../../shared/protocol/subjects.ts";
import { eventBody } from "./events.ts";

const REQUEST_TIMEOUT_MS = 10_000;
const RETRY_MS = 250;
const BLOCK_BYTES = 512 * 1024;
const QUEUE_BYTES = 2 * 1024 * 1024;

/** An agent's uplink without its server: the agent's own machine and blocks, events made up in memory. */
export class SimulatedUplink {
  readonly node: string;
  readonly #nc: NatsConnection;
  readonly #machine = new UplinkMachine({
    maxInFlight: 4,
    blockBytes: () => BLOCK_BYTES,
    maxQueueBytes: QUEUE_BYTES,
  });
  readonly #offeredMs = new Map<number, number>();
  readonly #onTaken: (elapsedMs: number) => void;
  #seq = 0;
  #known = 0;
  blocks = 0;

  constructor(nc: NatsConnection, node: string, onTaken: (elapsedMs: number) => void) {
    this.#nc = nc;
    this.node = node;
    this.#onTaken = onTaken;
  }

  get ready(): boolean {
    return this.#machine.phase === "shipping";
  }

  /** Events made and not yet in the log. */
  get waiting(): number {
    return this.#seq - this.#known;
  }

  start(): void {
    this.#run(this.#machine.begin());
  }

  /** Makes one event. Only when `ready`. */
  make(): void {
    const seq = ++this.#seq;
    this.#offeredMs.set(seq, performance.now());
    const id = uuidv7();
    this.#run(
      this.#machine.offer([
        {
          seq,
          timeUs: Date.now() * 1000,
          subject: eventSubject({
            domain: "orders",
            aggregate: `${this.node}-${seq % 10}`,
            type: "OrderPlaced",
          }),
          id,
          headerText: `X-Correlation-ID: ${id}\r\n`,
          body: eventBody(seq),
        },
      ]),
    );
  }

  #run(outputs: readonly UplinkOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
    for (; this.#known < this.#machine.accepted; this.#known++) {
      const offeredMs = this.#offeredMs.get(this.#known + 1);
      this.#offeredMs.delete(this.#known + 1);
      if (offeredMs !== undefined) this.#onTaken(performance.now() - offeredMs);
    }
  }

  #carryOut(output: UplinkOutput): void {
    switch (output.do) {
      case "survey":
        this.#run(this.#machine.surveyed(output.token, { first: 1, last: this.#seq }));
        return;
      case "ask":
        void this.#request(output.token, Buffer.from(JSON.stringify(output.request)));
        return;
      case "ship":
        this.blocks += 1;
        void this.#request(output.token, encodeBlock(output.block));
        return;
      case "wait":
        setTimeout(() => this.#run(this.#machine.begin()), RETRY_MS).unref();
        return;
      case "find":
      case "sample":
      case "refill":
        throw new Error(`${this.node}: a simulated outbox is never another one than before (${output.do})`);
    }
  }

  async #request(token: number, payload: Uint8Array): Promise<void> {
    const reply = await this.#nc
      .request(ingestSubject(this.node), payload, { timeout: REQUEST_TIMEOUT_MS })
      .then((message) => ingestReply.parse(message.json()))
      .catch(() => undefined);
    this.#run(this.#machine.answered(token, reply));
  }
}

/** Connections to the hub's server as its daemon has them, because programs may not ship. The caller closes them. */
export async function connectAsDaemon(hub: LabNode, count: number): Promise<NatsConnection[]> {
  const seed = (await readFile(join(hub.paths.data, "agent.nk"), "utf8")).trim();
  return Promise.all(
    Array.from({ length: count }, (_, at) =>
      connectNats({ url: hub.natsUrl, seed, name: `bench leaves ${at}` }),
    ),
  );
}
