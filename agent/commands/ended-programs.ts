import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { ACCOUNT } from "../../shared/nats/server-config.ts";
import type { Log } from "../../shared/observe/log.ts";
import {
  heldQuestionSubject,
  isHeldReply,
  type ListeningPrograms,
  programEndedSubject,
} from "../../shared/protocol/held-commands.ts";
import type { HandlerWatch } from "./handler-watch.ts";

export interface EndedProgramsInit {
  /** The daemon's connection, and its view of its server in the system account. */
  readonly nc: NatsConnection;
  readonly sys: NatsConnection;
  readonly node: string;
  readonly handlers: HandlerWatch;
  readonly log: Log;
}

/** nats-server's `DisconnectEventMsg` (server/events.go), the parts that are used. */
interface DisconnectEvent {
  readonly client?: { readonly id: number; readonly kind?: string; readonly start?: string };
  /** To the client. */
  readonly sent?: { readonly msgs: number };
}

/** Many that end together are told of once. */
const GATHER_MS = 20;
/** A handler is in the list of subscriptions by then. */
const LISTED_AFTER_MS = 2_000;

/**
 * Tells the coordinator when a program ended that may have had commands, and who asks then which programs still have some
 * who there is to answer. Of a program that ended nobody else can say so: its server closes its connection.
 */
export class EndedPrograms {
  readonly #init: EndedProgramsInit;
  #subscriptions: Subscription[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(init: EndedProgramsInit) {
    this.#init = init;
  }

  start(): void {
    const { nc, sys, node } = this.#init;
    this.#subscriptions = [
      sys.subscribe(`$SYS.ACCOUNT.${ACCOUNT.cim}.DISCONNECT`, {
        callback: (error, { data }) => void (error || this.#disconnected(data)),
      }),
      nc.subscribe(heldQuestionSubject(node), {
        callback: (error, message) => {
          if (!error && isHeldReply(message.reply, node)) void this.#answer((text) => message.respond(text));
        },
      }),
    ];
    // One may have ended before this was watched.
    this.#tellSoon();
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #disconnected(data: Uint8Array): void {
    const event = readEvent(data);
    if (event?.client?.kind !== "Client") return;
    const { id, start = "" } = event.client;
    // One that lived too shortly to be listed may have been one as well, if it was sent anything.
    const isNew = Date.now() - Date.parse(start) < LISTED_AFTER_MS && (event.sent?.msgs ?? 0) > 0;
    if (this.#init.handlers.isHandler(id) || isNew) this.#tellSoon();
  }

  #tellSoon(): void {
    const { nc, node } = this.#init;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!nc.isClosed()) nc.publish(programEndedSubject(node));
    }, GATHER_MS);
  }

  async #answer(respond: (text: string) => void): Promise<void> {
    const { nc, handlers, log } = this.#init;
    try {
      const { telling, silent } = await handlers.list();
      const programs = [...telling].filter((connection) => connection !== nc.info?.client_id);
      const answer: ListeningPrograms = { programs, silent: [...silent] };
      respond(JSON.stringify(answer));
    } catch (error) {
      log.debug({ err: error }, "a question for the commands under way stays unanswered");
    }
  }
}

function readEvent(data: Uint8Array): DisconnectEvent | undefined {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8")) as DisconnectEvent;
  } catch {
    return undefined;
  }
}
