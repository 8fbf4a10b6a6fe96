import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import * as z from "zod";
import { getMessage } from "../../nats/get-message.ts";
import { liveRequest } from "../../nats/live-request.ts";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import { rememberedSubject } from "../../protocol/commands.ts";
import { headerLine } from "../../protocol/headers.ts";
import { STREAM } from "../../protocol/names.ts";
import { WRONG_VERSION } from "../write-outcome.ts";
import { askForPrograms } from "./ask-held.ts";

const answer = z.object({ headerText: z.string(), body: z.string() });
export type RememberedAnswer = z.infer<typeof answer>;

const record = z.discriminatedUnion("state", [
  /** A program has it: its connection. */
  z.object({ state: z.literal("doing"), program: z.number() }),
  z.object({ state: z.literal("done"), answer }),
  /** It failed there, or what was answered is too large: who gets it again does it again. */
  z.object({ state: z.literal("free") }),
]);
type MemoryRecord = z.infer<typeof record>;

interface Standing {
  readonly seq: number;
  readonly record: MemoryRecord;
}

export type Claim =
  | { readonly kind: "answered"; readonly answer: RememberedAnswer }
  /** To be done here. `settle` is to be called once, before it is answered; undefined: it failed. */
  | { readonly kind: "mine"; readonly settle: (answer: RememberedAnswer | undefined) => void };

/** Room for the record around it, in the largest message that the stream takes. */
const LARGEST_ANSWER = 1024 * 1024 - 16 * 1024;
const REQUEST_WITHIN_MS = 2_000;
/** A node without this memory, or with one that does not answer, is not asked for each command. */
const ASKED_AGAIN_AFTER_MS = 10_000;
const LOOK_EVERY_MS = 500;
/** Nobody waits longer for an answer. */
const WAITED_FOR_MS = 120_000;

/**
 * What programs on a node have answered, and what they have under way, by the ids of commands: in a stream in the memory of
 * the node's server, of which the oldest go first. So a repeated id is answered though another program gets it, or the one
 * that did it was started anew. Without it a command is done as if it were the first of its id.
 */
export class NodeMemory {
  readonly #nc: NatsConnection;
  readonly #node: string;
  #missingUntilMs = 0;
  #living: Promise<readonly number[] | undefined> | undefined;

  constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.#node = node;
  }

  /** Who may do it: waits for the program that has it already, for its answer or its end. */
  async claim(domain: string, command: string, id: string): Promise<Claim> {
    const subject = subjectOf(domain, command, id);
    const untilMs = performance.now() + WAITED_FOR_MS;
    try {
      let standing: Standing | undefined;
      while (this.#isThere() && performance.now() < untilMs) {
        if (await this.#mayTake(standing)) {
          const doing: MemoryRecord = { state: "doing", program: this.#program() };
          if (await this.#replace(subject, doing, standing?.seq ?? 0)) return this.#mine(subject);
        } else await sleep(LOOK_EVERY_MS);
        standing = await this.#read(subject);
        if (standing?.record.state === "done") return { kind: "answered", answer: standing.record.answer };
      }
    } catch {
      // No such stream, no right to it, no answer.
      this.#missingUntilMs = performance.now() + ASKED_AGAIN_AFTER_MS;
    }
    return { kind: "mine", settle: () => {} };
  }

  /** For one of whose id it is known that nobody else has it: remembered for who gets it again. */
  take(domain: string, command: string, id: string, after: number): Claim {
    const subject = subjectOf(domain, command, id);
    const timer = setTimeout(() => this.#put(subject, { state: "doing", program: this.#program() }), after);
    timer.unref();
    return {
      kind: "mine",
      settle: (given) => {
        clearTimeout(timer);
        this.#settle(subject, given);
      },
    };
  }

  #mine(subject: string): Claim {
    return { kind: "mine", settle: (given) => this.#settle(subject, given) };
  }

  #settle(subject: string, given: RememberedAnswer | undefined): void {
    const isKept = given !== undefined && given.body.length + given.headerText.length < LARGEST_ANSWER;
    this.#put(subject, isKept ? { state: "done", answer: given } : { state: "free" });
  }

  /** Without an answer: it is on its way before the command's own is, over the same connection. */
  #put(subject: string, put: MemoryRecord): void {
    if (this.#isThere() && !this.#nc.isClosed()) this.#nc.publish(subject, JSON.stringify(put));
  }

  #isThere(): boolean {
    return performance.now() >= this.#missingUntilMs;
  }

  /** Gives false when another record stands there. */
  async #replace(subject: string, put: MemoryRecord, expected: number): Promise<boolean> {
    const headers = new EncodedHeaders(headerLine("Nats-Expected-Last-Subject-Sequence", String(expected)));
    const options = { headers, timeout: REQUEST_WITHIN_MS };
    const stored = await liveRequest(this.#nc, subject, JSON.stringify(put), options);
    const { error } = stored.json<{ error?: { err_code?: number; description?: string } }>();
    if (error === undefined) return true;
    if (WRONG_VERSION.has(error.err_code ?? 0)) return false;
    throw new Error(error.description);
  }

  async #read(subject: string): Promise<Standing | undefined> {
    const query = { last_by_subj: subject };
    const found = await getMessage(this.#nc, STREAM.answers, query, { timeoutMs: REQUEST_WITHIN_MS });
    if (found === undefined) return undefined;
    const read = record.parse(JSON.parse(Buffer.from(found.body).toString("utf8")));
    return { seq: found.seq, record: read };
  }

  async #mayTake(standing: Standing | undefined): Promise<boolean> {
    if (standing?.record.state !== "doing") return true;
    const { program } = standing.record;
    // Of this program, which does not remember it: it came over a connection that is gone.
    if (program === this.#program()) return true;
    const programs = await this.#livingPrograms();
    // Without an agent nobody knows.
    return programs !== undefined && !programs.includes(program);
  }

  /** One question for all that wait. */
  #livingPrograms(): Promise<readonly number[] | undefined> {
    this.#living ??= askForPrograms(this.#nc, this.#node).finally(() => {
      this.#living = undefined;
    });
    return this.#living;
  }

  #program(): number {
    return this.#nc.info?.client_id ?? 0;
  }
}

/** Any id is as long there. */
function subjectOf(domain: string, command: string, id: string): string {
  const hash = createHash("sha256").update(id).digest("base64url").slice(0, 22);
  return rememberedSubject(domain, command, hash);
}
