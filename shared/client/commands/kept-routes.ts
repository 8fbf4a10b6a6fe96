import {
  type Msg,
  type NatsConnection,
  NoRespondersError,
  nuid,
  type Subscription,
} from "@nats-io/transport-node";
import { LRUCache } from "lru-cache";
import { liveRequest } from "../../nats/live-request.ts";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import {
  answeredSubject,
  answerSubject,
  COMMAND_HEADER,
  COMMAND_SUBJECT,
  directCommandSubject,
  type FleetChanged,
  fleetChanged,
  type RouteAnswer,
  routeAnswer,
  routeAskSubject,
  routedCommandSubject,
} from "../../protocol/commands.ts";
import { heldDirectSubject, heldQuestionSubject, type WaitingCommand } from "../../protocol/held-commands.ts";
import { askForLost } from "./ask-held.ts";
import { CommandUnanswered } from "./command-errors.ts";

interface Route extends RouteAnswer {
  turn: number;
}

interface Waiting extends WaitingCommand {
  readonly id: string;
  readonly node: string;
  readonly token: string;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
}

/** What goes to a leaf by a route. */
export interface DirectCommand {
  readonly domain: string;
  readonly command: string;
  readonly id: string;
  readonly body: string;
  /** What is asked of the leaf, as header lines. */
  readonly headerText: string;
}

const MOST_ROUTES = 1_000;
/** Though every change is told: a notice may be lost with the link. */
const KEPT_MS = 30_000;
const NO_RESPONDERS = 503;

/**
 * Routes that were asked for and are kept until the fleet changes, and the commands that are sent by them, past the
 * coordinator. Answers come over one subscription.
 */
export class KeptRoutes {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #routes = new LRUCache<string, Route>({ max: MOST_ROUTES, ttl: KEPT_MS });
  readonly #inbox = `_INBOX.${nuid.next()}`;
  readonly #waiting = new Map<string, Waiting>();
  readonly #subscriptions: Subscription[];
  #sent = 0;
  /** As the coordinator said with the first route. */
  #isHub = false;

  constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.#node = node;
    const hear = (subject: string, heard: (message: Msg) => void) =>
      nc.subscribe(subject, { callback: (error, message) => void (error || heard(message)) });
    const answered = (message: Msg) => this.#answered(message);
    this.#subscriptions = [
      hear(`${this.#inbox}.*`, answered),
      // That nobody listens is told where the answer would have been published.
      hear(answerSubject("*", node, `${this.#inbox}.*`), answered),
      hear(COMMAND_SUBJECT.fleetChanged, ({ data }) => this.#changed(data)),
    ];
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    for (const { reject } of this.#waiting.values()) reject(new Error("the client was closed"));
    this.#waiting.clear();
  }

  /** @throws {NoRespondersError} not by a route now; what the client throws, and `CommandUnanswered` */
  async send(command: DirectCommand, timeoutMs: number): Promise<Msg> {
    const key = `${command.domain} ${command.command} ${command.headerText}`;
    let route = this.#routes.get(key);
    if (route === undefined) {
      const asked = await this.#ask(command, timeoutMs);
      // Refused, with the reason: as an answer to the command.
      if ("refused" in asked) return asked.refused;
      route = asked;
      this.#routes.set(key, route);
    }
    const node = route.nodes[route.turn++ % route.nodes.length] as string;
    try {
      return await this.#sendTo(node, command, timeoutMs);
    } catch (error) {
      if (error instanceof NoRespondersError) this.#routes.delete(key);
      throw error;
    }
  }

  async #ask(command: DirectCommand, timeoutMs: number): Promise<Route | { readonly refused: Msg }> {
    const { domain, command: name, headerText } = command;
    const answer = await liveRequest(this.#nc, routeAskSubject(this.#node, domain, name), "", {
      timeout: timeoutMs,
      ...(headerText !== "" && { headers: new EncodedHeaders(headerText) }),
    });
    if (answer.headers?.get(COMMAND_HEADER.error)) return { refused: answer };
    const route = { ...routeAnswer.parse(answer.json()), turn: 0 };
    if (route.callerIsHub && !this.#isHub) {
      this.#isHub = true;
      const subject = answeredSubject(this.#node, `${this.#inbox}.*`);
      this.#subscriptions.push(
        this.#nc.subscribe(subject, {
          callback: (error, message) => void (error || this.#answered(message)),
        }),
      );
    }
    return route;
  }

  #sendTo(
    node: string,
    { domain, command, id, body, headerText }: DirectCommand,
    timeoutMs: number,
  ): Promise<Msg> {
    const token = (++this.#sent).toString(36);
    const inbox = `${this.#inbox}.${token}`;
    const isHere = node === this.#node;
    const reply = isHere ? inbox : answerSubject(node, this.#node, inbox);
    const subject = isHere
      ? routedCommandSubject(node, domain, command)
      : directCommandSubject(this.#node, node, domain, command);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `${domain}.${command} was not answered by ${node} within ${timeoutMs} ms; whether it was done is not known`;
        this.#end(token)?.reject(new CommandUnanswered("timeout", message, { id, node }));
      }, timeoutMs);
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          settle(value);
        };
      const settles = { resolve: done(resolve), reject: done(reject) };
      this.#waiting.set(token, { id, node, domain, command, reply, token, ...settles });
      this.#nc.publish(subject, body, {
        reply,
        ...(headerText !== "" && { headers: new EncodedHeaders(headerText) }),
      });
    });
  }

  #answered(message: Msg): void {
    const { subject, headers, data } = message;
    const waiting = this.#end(subject.slice(subject.lastIndexOf(".") + 1));
    if (headers?.code === NO_RESPONDERS && data.byteLength === 0) {
      waiting?.reject(new NoRespondersError(subject));
    } else waiting?.resolve(message);
  }

  #changed(data: Uint8Array): void {
    let changed: FleetChanged = { gone: [] };
    try {
      changed = fleetChanged.parse(JSON.parse(Buffer.from(data).toString("utf8")));
    } catch {
      // Of a newer coordinator: routes are asked for anew all the same.
    }
    const { gone, ended = [] } = changed;
    for (const node of ended) void this.#programEnded(node);
    if (ended.length > 0 && gone.length === 0) return;
    this.#routes.clear();
    for (const { token, id, node } of this.#waiting.values()) {
      if (!gone.includes(node)) continue;
      const message = `${node} went away with the command; whether it was done is not known`;
      this.#end(token)?.reject(new CommandUnanswered("node-gone", message, { id, node }));
    }
  }

  async #programEnded(node: string): Promise<void> {
    const here = this.#node;
    const isHere = node === here;
    const lost = await askForLost<Waiting>({
      nc: this.#nc,
      subject: isHere ? heldQuestionSubject(node) : heldDirectSubject(here, node),
      reply: (inbox) => (isHere ? inbox : answerSubject(node, here, inbox)),
      // The hub's own programs hear answers elsewhere than others.
      hear: (inbox) => (this.#isHub ? [answeredSubject(here, inbox)] : [inbox]),
      waiting: () => [...this.#waiting.values()].filter((waiting) => waiting.node === node),
    });
    for (const { token, id, domain, command } of lost) {
      const message = `the program on ${node} ended that had ${domain}.${command}; whether it was done is not known`;
      this.#end(token)?.reject(new CommandUnanswered("handler-gone", message, { id, node }));
    }
  }

  #end(token: string): Waiting | undefined {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    return waiting;
  }
}
