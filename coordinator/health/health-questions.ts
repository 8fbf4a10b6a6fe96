import { randomBytes } from "node:crypto";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import {
  type HealthSource,
  healthReplies,
  healthReplySubject,
  readHealthReply,
  serverApiSubject,
  statusSubject,
} from "../../shared/protocol/subjects.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { nextTurnMs } from "./health-timing.ts";
import { probeUrl } from "./probe-url.ts";

export interface HealthQuestionsInit {
  readonly fleet: Fleet;
  /** Longest that a probe may take. */
  readonly probeTimeoutMs: number;
  /** An agent answered with what it would say in a heartbeat. */
  readonly onStatus: (node: string, data: Uint8Array) => void;
}

/** A fleet that falls silent at once (the hub's server stood still) is asked in portions: 10,000 nodes within a second. */
const MOST_ASKS = 1_000;
/** Each is a socket. */
const MOST_PROBES = 256;

/**
 * Asks what the fleet wants to know: agents and their servers' APIs over the links, and `url`s. Questions are messages
 * without a promise each: the answer says what it answers, and an answer that doesn't come is silence.
 */
export class HealthQuestions implements AsyncDisposable {
  readonly #init: HealthQuestionsInit;
  /** Of those that begin from now on. */
  probeTimeoutMs: number;
  /** A hub's coordinators count their time differently: each hears its own answers alone. */
  readonly #run = randomBytes(6).toString("hex");
  #nc: NatsConnection | undefined;
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #probes = 0;
  #stopped = false;

  constructor(init: HealthQuestionsInit) {
    this.#init = init;
    this.probeTimeoutMs = init.probeTimeoutMs;
  }

  /** @param nc a connection of the hub's daemon */
  start(nc: NatsConnection): void {
    this.#nc = nc;
    this.#subscription = nc.subscribe(healthReplies(this.#run), {
      callback: (error, message) => {
        if (!error) this.#answered(message);
      },
    });
    this.#turn(nc);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (!this.#nc?.isClosed()) this.#subscription?.unsubscribe();
  }

  #turn(nc: NatsConnection): void {
    const { fleet } = this.#init;
    const due = fleet.turn(Date.now(), { asks: MOST_ASKS, probes: MOST_PROBES - this.#probes });
    for (const { name, url, atMs } of due.probes) void this.#probe(name, url, atMs);
    this.#timer = setTimeout(() => this.#turn(nc), nextTurnMs(due.restMs));
    if (nc.isClosed()) return;
    for (const { name, role, atMs } of due.asks) {
      const replyTo = (of: HealthSource) => ({ reply: healthReplySubject(name, this.#run, of, atMs) });
      nc.publish(serverApiSubject(role === "hub" ? undefined : name), "", replyTo("server"));
      nc.publish(statusSubject(name), "", replyTo("agent"));
    }
  }

  #answered(message: Msg): void {
    // The own server says so when nobody there listens to the question: nobody answered.
    if ((message.headers?.code ?? 0) !== 0) return;
    const answer = readHealthReply(message.subject);
    if (answer?.of === "server") this.#init.fleet.onServerAnswer(answer.node, answer.atMs, Date.now());
    if (answer?.of === "agent") this.#init.onStatus(answer.node, message.data);
  }

  async #probe(name: string, url: string, atMs: number): Promise<void> {
    const { fleet } = this.#init;
    this.#probes += 1;
    const result = await probeUrl(url, this.probeTimeoutMs);
    this.#probes -= 1;
    if (!this.#stopped) fleet.onProbe(name, result, atMs, Date.now());
  }
}
