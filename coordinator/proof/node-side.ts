import type { NatsConnection } from "@nats-io/transport-node";
import type { PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import type { Side } from "../../shared/consistency/proof/compare-sides.ts";
import { askNode } from "../../shared/nats/ask-node.ts";
import {
  type Held,
  type Look,
  type ProofOf,
  type ProofReply,
  type ProofRequest,
  proofReply,
} from "../../shared/protocol/proof-messages.ts";
import { controlSubject } from "../../shared/protocol/subjects.ts";

/** The node can't say now what it holds: it was not reached, keeps no copy, or mends it. */
export class NotComparable extends Error {
  override readonly name = "NotComparable";
}

/** Reading a chunk from a slow disk behind a slow link, behind another question. */
const ASK_TIMEOUT_MS = 60_000;

export interface Question {
  readonly node: string;
  readonly of: ProofOf;
  readonly look: Look;
  readonly domains: readonly string[] | null;
  readonly except: readonly number[];
}

/** Asks one node what it holds. */
export class NodeQuestions {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** What it holds, and up to where. @throws NotComparable */
  async held(question: Question): Promise<Held> {
    const [nothing] = [{ from: 0, to: 0 }];
    return (await this.#sums(question, [nothing])).held;
  }

  /** @throws NotComparable, also when it holds less by now than what it is asked about */
  side(question: Question, held: Held): Side {
    const isSame = (now: Held) => now.incarnation === held.incarnation;
    return {
      sums: async (ranges) => {
        const answer = await this.#sums(question, ranges);
        if (!isSame(answer.held)) throw new NotComparable(`${question.node} has begun a new outbox`);
        return answer.sums;
      },
      list: async ({ from, to }) => {
        const reply = await this.#ask(question.node, { op: "list", ...asked(question), range: [from, to] });
        if (reply.kind !== "list") throw new NotComparable(reasonOf(question.node, reply));
        return reply.events.map(([place, id, domain, content]) => ({ place, id, domain, content }));
      },
    };
  }

  async #sums(question: Question, ranges: readonly PlaceRange[]) {
    const reply = await this.#ask(question.node, {
      op: "sums",
      ...asked(question),
      ranges: ranges.map(({ from, to }) => [from, to]),
    });
    if (reply.kind !== "sums") throw new NotComparable(reasonOf(question.node, reply));
    const { sums, ...held } = reply;
    return { held, sums: sums.map(([count, high, low]) => ({ count, high, low })) };
  }

  async #ask(node: string, request: ProofRequest): Promise<ProofReply> {
    try {
      const subject = controlSubject(node, "proof");
      const answer = await askNode(this.#nc, node, subject, JSON.stringify(request), {
        timeoutMs: ASK_TIMEOUT_MS,
      });
      return proofReply.parse(answer.json());
    } catch (cause) {
      throw new NotComparable(`${node} does not answer`, { cause });
    }
  }
}

const asked = ({ of, look, domains, except }: Question) => ({
  of,
  look,
  domains: domains && [...domains],
  except: [...except],
});

const reasonOf = (node: string, reply: ProofReply): string =>
  `${node}: ${reply.kind === "none" ? reply.reason : `answered ${reply.kind}`}`;
