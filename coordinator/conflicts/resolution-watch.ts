import type { NatsConnection } from "@nats-io/transport-node";
import { getMessages } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { loggedEvent } from "../../shared/protocol/logged-event.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { RESOLUTION_TYPES } from "../../shared/protocol/resolutions.ts";
import { parseEventSubject, typeFilter } from "../../shared/protocol/subjects.ts";
import type { ConflictJournal } from "./conflict-journal.ts";
import { isConflictId, type ResolutionRecord } from "./conflict-record.ts";

export interface ResolutionWatchInit {
  readonly nc: () => NatsConnection;
  readonly inboxPrefix: string;
  readonly journal: ConflictJournal;
  readonly log: Log;
}

/** Long before the log forgets anything; who asks is told of everything in any case. */
const EVERY_MS = 60_000;
const TIMEOUT_MS = 5_000;

/** Keeps in the journal what the log says was done about conflicts, as the log forgets sooner than the journal does. */
export class ResolutionWatch implements Disposable {
  readonly #init: ResolutionWatchInit;
  #timer: NodeJS.Timeout | undefined;
  #next: number | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(init: ResolutionWatchInit) {
    this.#init = init;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.catchUp().catch((error: unknown) => {
        this.#init.log.warn(
          { err: errorText(error) },
          "what resolves conflicts could not be read from the log",
        );
      });
    }, EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Resolves when the journal knows all that the log had when this was called. */
  catchUp(): Promise<void> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#read());
    this.#turn = turn;
    return turn;
  }

  async #read(): Promise<void> {
    const { inboxPrefix, journal } = this.#init;
    const nc = this.#init.nc();
    const { last_seq: last } = await streamState(nc, STREAM.events, { timeoutMs: TIMEOUT_MS });
    const next = this.#next ?? ((await journal.newestResolution())?.seq ?? 0) + 1;
    // A log that was restored is shorter than the journal remembers.
    const from = next > last + 1 ? 1 : next;
    const found: StoredMessage[] = [];
    for (const type of Object.values(RESOLUTION_TYPES)) {
      const query = { seq: from, next_by_subj: typeFilter(type) };
      found.push(...(await getMessages(nc, STREAM.events, query, { inboxPrefix, timeoutMs: TIMEOUT_MS })));
    }
    const done = found.sort((a, b) => a.seq - b.seq).map(resolutionOf);
    await journal.writeResolutions(done.filter((one) => one !== undefined));
    this.#next = Math.max(last, found.at(-1)?.seq ?? 0) + 1;
  }
}

/** What an event says was done about a conflict; undefined: it names none. Pure. */
export function resolutionOf(
  message: StoredMessage,
): { readonly aggregate: string; readonly done: ResolutionRecord } | undefined {
  const { subject, headerText, seq } = message;
  const address = parseEventSubject(subject);
  const logged = loggedEvent(message);
  const id = headerValue(headerText, HEADER.resolves) ?? "";
  if (address?.aggregate === undefined || !logged || !isConflictId(id)) return undefined;
  const ingestedUs = Number(headerValue(headerText, HEADER.time)?.split(" ")[1]);
  return {
    aggregate: `${address.domain}.${address.aggregate}`,
    done: {
      v: 1,
      id,
      how: address.type === RESOLUTION_TYPES.reinstated ? "reinstated" : "resolved",
      event: logged.id,
      node: logged.origin.node,
      log: headerValue(headerText, HEADER.log) ?? "",
      atMs: Math.floor(ingestedUs / 1000),
      seq,
    },
  };
}
