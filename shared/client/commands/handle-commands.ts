import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { LRUCache } from "lru-cache";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import {
  COMMAND_HEADER,
  type CommandError,
  commandBody,
  isEchoable,
  routedCommandSubject,
} from "../../protocol/commands.ts";
import { errorText } from "../../protocol/error-text.ts";
import { headerLine } from "../../protocol/headers.ts";
import { doneSubject } from "../../protocol/held-commands.ts";
import { isDomain, isToken } from "../../protocol/subjects.ts";
import { HANDLER_FAILED } from "./command-errors.ts";
import { HeldAnswers } from "./held-answers.ts";
import { NodeMemory } from "./node-memory.ts";

/** A command as it comes to a handler. */
export interface ReceivedCommand {
  /** The idempotency key; undefined: the sender gave none, and the same command sent again is done again. */
  readonly id: string | undefined;
  readonly domain: string;
  readonly command: string;
  /** What the sender gave as `data`; of a body that is no command of this form, the whole body as JSON. */
  readonly data: unknown;
  /** The body as it came. */
  readonly body: Uint8Array;
  readonly header: (name: string) => string | undefined;
}

/** Does a command. What it gives is the answer, as JSON; what it throws, the caller gets as `CommandFailed`. */
export type CommandHandler = (command: ReceivedCommand) => unknown;

export interface HandleOptions {
  /** Programs of one group share the commands of a node. Default: `cim`, all programs of a node. */
  readonly group?: string;
  /** So many answers are remembered for repeated ids, none longer than `rememberMs`. Default 10,000 and ten minutes. */
  readonly remembered?: number;
  readonly rememberMs?: number;
  /**
   * `node`: also what other programs on this node answered, and this one before it was started anew: the answers of ten
   * minutes, 16 MiB of all programs together, in the memory of the node's server. `process`: only what this one did. Default `node`.
   */
  readonly memory?: "node" | "process";
}

/** Ends by disposal: takes no more commands, and waits for those under way. */
export interface Handling extends AsyncDisposable {
  stop(): Promise<void>;
}

interface Answer {
  readonly failed: boolean;
  readonly headerText: string;
  readonly body: string;
}

const DEFAULT_REMEMBERED = 10_000;
const DEFAULT_REMEMBER_MS = 600_000;
/** Answers that are remembered may have so many characters together. */
const MOST_REMEMBERED_CHARACTERS = 16 * 1024 * 1024;

/** Who gets a fresh id from its sender's error to send it again has waited longer. */
const CLAIMED_AFTER_MS = 100;

/** Answers the commands of a kind that are routed to this node. @throws {TypeError} it is no command's name */
export function handleCommands(
  nc: NatsConnection,
  node: string,
  domain: string,
  command: string,
  handler: CommandHandler,
  options: HandleOptions = {},
): Handling {
  if (!isDomain(domain)) throw new TypeError(`domain: "${domain}" is no domain; write one word, as orders`);
  if (!isToken(command))
    throw new TypeError(`command: "${command}" is no command; write one word, as PlaceOrder`);
  return new HandledCommands(nc, node, { domain, command, handler }, options);
}

class HandledCommands implements Handling {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #held: HeldAnswers;
  #isEnded = false;
  readonly #kind: { readonly domain: string; readonly command: string; readonly handler: CommandHandler };
  readonly #subscription: Subscription;
  /** By id: what was answered, or is being done. A repeated id is answered by that. */
  readonly #remembered: LRUCache<string, Promise<Answer>>;
  readonly #memory: NodeMemory | undefined;
  readonly #underWay = new Set<Promise<void>>();

  constructor(
    nc: NatsConnection,
    node: string,
    kind: { readonly domain: string; readonly command: string; readonly handler: CommandHandler },
    options: HandleOptions,
  ) {
    const { group = "cim", remembered = DEFAULT_REMEMBERED, rememberMs = DEFAULT_REMEMBER_MS } = options;
    this.#memory = options.memory === "process" ? undefined : new NodeMemory(nc, node);
    this.#nc = nc;
    this.#node = node;
    this.#kind = kind;
    this.#held = HeldAnswers.join(nc, node);
    this.#remembered = new LRUCache({
      max: remembered,
      ttl: rememberMs,
      maxSize: MOST_REMEMBERED_CHARACTERS,
    });
    this.#subscription = nc.subscribe(routedCommandSubject(node, kind.domain, kind.command), {
      queue: group,
      callback: (error, message) => {
        if (!error) this.#take(message);
      },
    });
  }

  async stop(): Promise<void> {
    // What the server has sent already is still done.
    if (!this.#subscription.isClosed()) await this.#subscription.drain();
    await Promise.allSettled([...this.#underWay]);
    if (!this.#isEnded) this.#held.leave();
    this.#isEnded = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #take(message: Msg): void {
    this.#held.take(message);
    const work = this.#answer(message).then(({ headerText, body }) => {
      this.#held.end(message);
      message.respond(body, { headers: new EncodedHeaders(headerText) });
      // Its answer does not leave this leaf: the coordinator counts it until it is told.
      if (message.reply && message.headers?.get(COMMAND_HEADER.counted))
        this.#nc.publish(doneSubject, message.reply);
    });
    const done = work
      .catch(() => {})
      .finally(() => {
        this.#held.end(message);
        this.#underWay.delete(done);
      });
    this.#underWay.add(done);
  }

  async #answer(message: Msg): Promise<Answer> {
    const { received, fresh } = this.#read(message);
    const { id } = received;
    if (id === undefined) return await this.#do(received);
    const before = this.#remembered.get(id);
    if (before !== undefined) return await before;
    const doing = this.#doOnce(received, id, fresh);
    // Under way it has no size yet, and must not be dropped for its size.
    this.#remembered.set(id, doing, { size: 1 });
    const answer = await doing;
    if (answer.failed) {
      // Sent again it is tried again.
      this.#remembered.delete(id);
      return answer;
    }
    this.#remembered.set(id, doing, { size: answer.body.length + answer.headerText.length + id.length });
    return answer;
  }

  /** Unless another program on this node has done it, or does. */
  async #doOnce(received: ReceivedCommand, id: string, fresh: boolean): Promise<Answer> {
    const { domain, command } = received;
    const memory = this.#memory;
    if (memory === undefined) return await this.#do(received);
    const claim = fresh
      ? memory.take(domain, command, id, CLAIMED_AFTER_MS)
      : await memory.claim(domain, command, id);
    if (claim.kind === "answered") return { failed: false, ...claim.answer };
    const answer = await this.#do(received);
    const { headerText, body, failed } = answer;
    claim.settle(failed ? undefined : { headerText, body });
    return answer;
  }

  #read({ data: body, headers }: Msg): { readonly received: ReceivedCommand; readonly fresh: boolean } {
    const { domain, command } = this.#kind;
    let json: unknown;
    try {
      json = body.byteLength === 0 ? undefined : JSON.parse(Buffer.from(body).toString("utf8"));
    } catch {
      // Of a client that sends something else: the handler has the bytes.
    }
    const parsed = commandBody.safeParse(json);
    const { id, data, fresh = false } = parsed.success ? parsed.data : { id: undefined, data: json };
    const header = (name: string) => headers?.get(name) || undefined;
    return { received: { id, domain, command, data, body, header }, fresh };
  }

  async #do(received: ReceivedCommand): Promise<Answer> {
    const { id } = received;
    const about = id !== undefined && isEchoable(id) ? headerLine(COMMAND_HEADER.id, id) : "";
    const from = headerLine(COMMAND_HEADER.node, this.#node) + about;
    try {
      const result = await this.#kind.handler(received);
      const body = result === undefined ? "" : JSON.stringify(result);
      return { failed: false, headerText: from, body };
    } catch (thrown) {
      const message = errorText(thrown);
      const error: CommandError = { code: HANDLER_FAILED, message, node: this.#node, outcome: "unknown" };
      const headerText = from + headerLine(COMMAND_HEADER.error, HANDLER_FAILED);
      return { failed: true, headerText, body: JSON.stringify({ error }) };
    }
  }
}
