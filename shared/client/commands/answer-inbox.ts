import { type Msg, type NatsConnection, NoRespondersError, nuid } from "@nats-io/transport-node";
import { ConnectionLost, isDown, onceLost } from "../../nats/connection-lost.ts";
import { headerTextOf, statusOf } from "../../nats/raw-message.ts";
import { COMMAND_HEADER, isEchoable } from "../../protocol/commands.ts";
import { headerValue } from "../../protocol/headers.ts";

const NO_RESPONDERS = 503;
/**
 * An answer that does not say which command it is for may be a late one to the command before, which was answered twice. The
 * right one comes within this time then; else this is the right one.
 */
const LATE_MS = 250;

/** A command whose answer is waited for. */
export interface Call {
  readonly id: string;
  /** `<domain>.<Command>` */
  readonly what: string;
  /** Another leaf may do it too: its answer may come twice. */
  readonly mayRepeat: boolean;
  readonly timeoutMs: number;
  /** What becomes of it when no answer comes in time. */
  readonly onTimeout: () => Error;
}

/** One that waits. It is ended once: by its answer, by an error, or by whoever knows that none will come. */
export interface OpenCall<T extends Call = Call> {
  readonly call: T;
  readonly inbox: string;
}

interface Waiting<T extends Call> extends OpenCall<T> {
  readonly token: string;
  /** The inbox had an answer before. */
  readonly isReused: boolean;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
  timer: NodeJS.Timeout | undefined;
  late: NodeJS.Timeout | undefined;
}

/**
 * Where a program's commands are answered: one subscription for all of them. The client's own request makes two promises, two
 * errors and a map of headers each time, at several times the cost of all else.
 *
 * Inboxes are used again: servers remember where the subjects lead that they have seen, and to find that out anew three times
 * for each answer is a fifth of what a command costs. One is used again only after an answer that named its command
 * (`Cim-Id`, by the library's handlers), so that another's answer is told from it.
 */
export class AnswerInbox<T extends Call = Call> {
  readonly prefix = `_INBOX.${nuid.next()}`;
  readonly #nc: NatsConnection;
  readonly #waiting = new Map<string, Waiting<T>>();
  readonly #free: string[] = [];
  /** Commands that plain clients answer. */
  readonly #plain = new Set<string>();
  readonly #unsubscribe: () => void;
  #made = 0;
  #isWatched = false;
  #forget: (() => void) | undefined;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    const subscription = nc.subscribe(`${this.prefix}.*`, {
      callback: (error, message) => void (error || this.take(message)),
    });
    this.#unsubscribe = () => subscription.unsubscribe();
  }

  /** Commands that wait. */
  get open(): readonly OpenCall<T>[] {
    return [...this.#waiting.values()];
  }

  /**
   * @param publish sends it, with an inbox of ours for the answer
   * @throws {NoRespondersError} nobody listens; {ConnectionLost}; what `onTimeout` gives and `publish` throws
   */
  ask(call: T, publish: (inbox: string) => void): Promise<Msg> {
    if (isDown(this.#nc)) return Promise.reject(new ConnectionLost("the connection is down"));
    if (!this.#isWatched) this.#watch();
    const again = this.#isReusable(call) ? this.#free.pop() : undefined;
    const token = again ?? (++this.#made).toString(36);
    return new Promise((resolve, reject) => {
      const inbox = `${this.prefix}.${token}`;
      const isReused = again !== undefined;
      const waiting: Waiting<T> = {
        call,
        inbox,
        token,
        isReused,
        resolve,
        reject,
        timer: undefined,
        late: undefined,
      };
      waiting.timer = setTimeout(() => this.fail(waiting, call.onTimeout()), call.timeoutMs);
      this.#waiting.set(token, waiting);
      try {
        publish(inbox);
      } catch (error) {
        this.fail(waiting, error as Error);
      }
    });
  }

  /** An answer, or the server's word that there will be none. */
  take(message: Msg): void {
    const { subject } = message;
    const waiting = this.#waiting.get(subject.slice(subject.lastIndexOf(".") + 1));
    if (waiting === undefined) return;
    const { call } = waiting;
    if (statusOf(message) === NO_RESPONDERS && message.data.byteLength === 0) {
      this.fail(waiting, new NoRespondersError(call.what));
      return;
    }
    const headerText = headerTextOf(message);
    const id = headerValue(headerText, COMMAND_HEADER.id);
    if (id !== undefined) {
      if (id !== call.id) return;
      if (this.#end(waiting) && this.#isReusable(call)) this.#free.push(waiting.token);
      waiting.resolve(message);
      return;
    }
    const isRefusal = headerValue(headerText, COMMAND_HEADER.error) !== undefined;
    if (!isRefusal) this.#plain.add(call.what);
    if (isRefusal || !waiting.isReused) {
      this.#end(waiting);
      waiting.resolve(message);
    } else if (waiting.late === undefined) {
      waiting.late = setTimeout(() => {
        if (this.#end(waiting)) waiting.resolve(message);
      }, LATE_MS);
    }
  }

  /** No answer will come. */
  fail(open: OpenCall<T>, error: Error): void {
    const waiting = open as Waiting<T>;
    if (this.#end(waiting)) waiting.reject(error);
  }

  close(): void {
    this.#unsubscribe();
    this.#forget?.();
    this.#failAll(new Error("the client was closed"));
  }

  #isReusable({ id, what, mayRepeat }: T): boolean {
    return !mayRepeat && isEchoable(id) && !this.#plain.has(what);
  }

  /** Gives false when it has ended before. */
  #end(waiting: Waiting<T>): boolean {
    if (this.#waiting.get(waiting.token) !== waiting) return false;
    this.#waiting.delete(waiting.token);
    clearTimeout(waiting.timer);
    clearTimeout(waiting.late);
    return true;
  }

  /** What was sent over a connection that is gone is not answered any more. */
  #watch(): void {
    this.#isWatched = true;
    this.#forget = onceLost(this.#nc, () => {
      this.#isWatched = false;
      this.#failAll(new ConnectionLost("the connection was lost"));
    });
  }

  #failAll(error: Error): void {
    for (const waiting of [...this.#waiting.values()]) this.fail(waiting, error);
  }
}
