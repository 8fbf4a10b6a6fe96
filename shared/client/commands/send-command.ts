import { type Msg, type NatsConnection, NoRespondersError, TimeoutError } from "@nats-io/transport-node";
import { EncodedHeaders, headerTextOf } from "../../nats/raw-message.ts";
import {
  COMMAND_HEADER,
  type CommandBody,
  commandError,
  commandSubject,
  RETRY_ELSEWHERE,
} from "../../protocol/commands.ts";
import { errorText } from "../../protocol/error-text.ts";
import { headerLine, headerValue } from "../../protocol/headers.ts";
import { uuidv7 } from "../../protocol/identity.ts";
import { isDomain, isToken } from "../../protocol/subjects.ts";
import { AnswerInbox } from "./answer-inbox.ts";
import { CommandFailed, CommandRefused, CommandUnanswered, HANDLER_FAILED } from "./command-errors.ts";
import type { DirectCommand, KeptRoutes } from "./kept-routes.ts";

/** A command as a program sends it. */
export interface CommandToSend {
  readonly domain: string;
  /** As `PlaceOrder`. */
  readonly command: string;
  /** Anything that JSON can say. */
  readonly data?: unknown;
  /** The idempotency key; a new UUIDv7 where it is left out. A leaf that has done it answers the same id from memory. */
  readonly id?: string;
  /** Capabilities that the leaf must have. */
  readonly require?: readonly string[];
  /** A region, or `latitude,longitude`, for the strategy location-aware. Default: where this node is. */
  readonly near?: string;
  /** `round-robin`, `least-loaded`, `location-aware` or `capability-based`. Default: the coordinator's. */
  readonly strategy?: string;
  /** `elsewhere`: when the leaf goes away with it, or the program there, another leaf may do it again. Default: the error says so. */
  readonly retry?: "elsewhere";
}

export interface CommandOptions {
  /** How long the answer is waited for, ms. Default 10,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /**
   * `each`: the coordinator chooses a leaf for each command. `kept`: it is asked once, and commands of the kind are sent in
   * turn to the leaves that it named, past it, until the fleet changes. Quicker for many; `retry` does nothing. Default `each`.
   */
  readonly route?: "each" | "kept";
}

/** What a handler answered. */
export interface CommandAnswer {
  /** The command's id. */
  readonly id: string;
  /** The leaf that did it; undefined where its handler does not say. */
  readonly node: string | undefined;
  readonly body: Uint8Array;
  /** The body, parsed; undefined when it is empty. @throws {SyntaxError} it is not JSON */
  json<T = unknown>(): T;
  /** A header of the answer. */
  header(name: string): string | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Sends a command and waits for its answer.
 *
 * @throws {CommandRefused} no leaf does it; it was not done
 * @throws {CommandFailed} its handler threw
 * @throws {CommandUnanswered} whether it was done is not known
 * @throws {TypeError} it is no command
 */
export async function sendCommand(
  nc: NatsConnection,
  toSend: CommandToSend,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: CommandOptions = {},
  kept?: KeptRoutes,
): Promise<CommandAnswer> {
  const { domain, command, data, id = uuidv7(Date.now()) } = toSend;
  const fresh = toSend.id === undefined;
  if (!isDomain(domain)) throw new TypeError(`domain: "${domain}" is no domain; write one word, as orders`);
  if (!isToken(command))
    throw new TypeError(`command: "${command}" is no command; write one word, as PlaceOrder`);
  const body: CommandBody = {
    id,
    timestamp: new Date().toISOString(),
    command,
    data: data ?? null,
    ...(fresh && { fresh }),
  };
  const direct = { domain, command, id, body: JSON.stringify(body), headerText: wishesOf(toSend) };
  let answer: Msg;
  try {
    signal?.throwIfAborted();
    answer = await unlessAborted(sent(nc, direct, timeoutMs, kept), signal);
  } catch (cause) {
    if (cause instanceof CommandUnanswered) throw cause;
    throw asCommandError(cause, { what: `${domain}.${command}`, id, timeoutMs, signal });
  }
  const headerText = headerTextOf(answer);
  const header = (name: string) => headerValue(headerText, name) || undefined;
  const code = header(COMMAND_HEADER.error);
  if (code !== undefined) throw asToldError(code, answer, id);
  return {
    id,
    node: header(COMMAND_HEADER.node),
    body: answer.data,
    json: <T>() =>
      (answer.data.byteLength === 0 ? undefined : JSON.parse(Buffer.from(answer.data).toString("utf8"))) as T,
    header,
  };
}

/** By a route that is kept, or through the coordinator. */
async function sent(
  nc: NatsConnection,
  command: DirectCommand,
  timeoutMs: number,
  kept: KeptRoutes | undefined,
): Promise<Msg> {
  if (kept !== undefined) {
    try {
      return await kept.send(command, timeoutMs);
    } catch (error) {
      // Not by that route any more: nobody had it.
      if (!isNoResponders(error)) throw error;
    }
  }
  const { domain, command: name, id, body, headerText } = command;
  const call = {
    id,
    what: `${domain}.${name}`,
    mayRepeat: headerValue(headerText, COMMAND_HEADER.retry) !== undefined,
    timeoutMs,
    onTimeout: timedOut,
  };
  return await inboxOf(nc).ask(call, (reply) =>
    nc.publish(commandSubject(domain, name), body, {
      reply,
      ...(headerText !== "" && { headers: new EncodedHeaders(headerText) }),
    }),
  );
}

const timedOut = () => new TimeoutError();

/** Ends with its connection. */
const inboxes = new WeakMap<NatsConnection, AnswerInbox>();

function inboxOf(nc: NatsConnection): AnswerInbox {
  let inbox = inboxes.get(nc);
  if (inbox === undefined) {
    inbox = new AnswerInbox(nc);
    inboxes.set(nc, inbox);
  }
  return inbox;
}

function wishesOf({ require = [], near, strategy, retry }: CommandToSend): string {
  let lines = "";
  if (require.length > 0) lines += headerLine(COMMAND_HEADER.require, oneLine(require.join(",")));
  if (near !== undefined) lines += headerLine(COMMAND_HEADER.near, oneLine(near));
  if (strategy !== undefined) lines += headerLine(COMMAND_HEADER.strategy, oneLine(strategy));
  if (retry !== undefined) lines += headerLine(COMMAND_HEADER.retry, RETRY_ELSEWHERE);
  return lines;
}

/** A line's end in a header's value would be another header. */
function oneLine(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new TypeError(`a line's end in ${JSON.stringify(value)}; write one line`);
  return value;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

const isNoResponders = (error: unknown): boolean =>
  error instanceof NoRespondersError || (error instanceof Error && error.cause instanceof NoRespondersError);

function asCommandError(
  cause: unknown,
  about: { what: string; id: string; timeoutMs: number; signal: AbortSignal | undefined },
): Error {
  const { what, id, timeoutMs, signal } = about;
  if (isNoResponders(cause)) {
    const message = `${what} was not done: no coordinator leads, or this node has no way to the hub now`;
    return new CommandRefused("no-coordinator", message, { cause });
  }
  if (signal?.aborted) {
    return new CommandUnanswered(
      "cancelled",
      `${what} was given up; whether it was done is not known`,
      { id },
      { cause },
    );
  }
  const isTimeout = cause instanceof Error && cause.name === "TimeoutError";
  const why = isTimeout ? `within ${timeoutMs} ms` : `(${errorText(cause)})`;
  return new CommandUnanswered(
    "timeout",
    `${what} was not answered ${why}; whether it was done is not known`,
    { id },
    { cause },
  );
}

/** The answer is an error, by the coordinator or by the handler. */
function asToldError(code: string, answer: Msg, id: string): Error {
  const node = answer.headers?.get(COMMAND_HEADER.node) || undefined;
  let told: ReturnType<typeof commandError.safeParse> | undefined;
  try {
    told = commandError.safeParse(answer.json());
  } catch {
    // Said by the header alone.
  }
  const error = told?.data?.error;
  const message = error?.message ?? code;
  if (code === HANDLER_FAILED) return new CommandFailed(message, node ?? error?.node ?? undefined);
  if (error?.outcome === "unknown") {
    const which = code === "handler-gone" ? code : "node-gone";
    return new CommandUnanswered(which, message, { id, node: error.node ?? undefined });
  }
  return new CommandRefused(code, message);
}
