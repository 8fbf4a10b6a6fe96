import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { type RetireAnswer, retireRequest } from "../../shared/protocol/messages.ts";
import { controlSubject, isAnswerable } from "../../shared/protocol/subjects.ts";
import type { RetireOutcome } from "../sequencer/sequencer-machine.ts";
import type { FleetNode } from "./fleet-node.ts";

export interface RetirementInit {
  readonly hub: string;
  /** As the fleet has it now; undefined: it is not there. */
  readonly find: (node: string) => FleetNode | undefined;
  /** Names of the nodes that the log has events of. */
  readonly logged: () => readonly string[];
  /** Only who leads may write into the log; another coordinator of this hub answers then. */
  readonly leads: () => boolean;
  readonly retire: (node: string) => Promise<RetireOutcome>;
  /** It is in the log. */
  readonly onRetired: (node: string) => void;
}

/** Answers operators that retire nodes. */
export class Retirement {
  readonly #init: RetirementInit;
  #subscription: Subscription | undefined;

  constructor(init: RetirementInit) {
    this.#init = init;
  }

  start(nc: NatsConnection): void {
    this.#subscription = nc.subscribe(controlSubject(this.#init.hub, "retire"), {
      callback: (error, message) => {
        if (error || !isAnswerable(message.reply) || !this.#init.leads()) return;
        void this.#answer(message.data).then((answer) => {
          if (!nc.isClosed()) message.respond(JSON.stringify(answer));
        });
      },
    });
  }

  stop(): void {
    this.#subscription?.unsubscribe();
  }

  async #answer(data: Uint8Array): Promise<RetireAnswer> {
    const node = readNode(data);
    if (node === undefined) return { retired: false, reason: "the request can't be read" };
    const { hub, find, logged, retire, onRetired } = this.#init;
    const reason = whyKept(node, hub, find(node));
    if (reason !== undefined) return { retired: false, reason };
    switch (await retire(node)) {
      case "retired":
        onRetired(node);
        return { retired: true };
      case "unknown": {
        const names = logged().join(", ") || "none";
        return { retired: false, reason: `the log has nothing of a node "${node}"; it knows ${names}` };
      }
      case "not-now":
        return { retired: false, reason: "the log is being read; write the same again" };
    }
  }
}

/** Why a node can't be retired, and what to do first; undefined: it can. Pure. */
export function whyKept(name: string, hub: string, node: FleetNode | undefined): string | undefined {
  if (name === hub) return `${name} is the hub, and the log is its own`;
  if (!node) return undefined;
  const { sources, link } = node;
  if (sources.includes("configuration"))
    return `${name} is still in the hub's leaves: take it out there, run write-nats-config and reload both first`;
  const lists = sources.filter((source) => source !== "heartbeat" && source !== "link");
  if (lists.length > 0) return `${name} is still listed by ${lists.join(", ")}: take it out there first`;
  if (link.up) return `${name} is still linked: end its daemon and its nats-server first`;
  return undefined;
}

function readNode(data: Uint8Array): string | undefined {
  try {
    return retireRequest.safeParse(JSON.parse(Buffer.from(data).toString("utf8"))).data?.node;
  } catch {
    return undefined;
  }
}
