import type { NatsConnection } from "@nats-io/transport-node";
import { COMMAND_SUBJECT, type FleetChanged } from "../../shared/protocol/commands.ts";

/** Changes that come together are told together, after so long. */
const GATHER_MS = 20;

/** Tells programs that keep routes when those may be wrong. Costs a leaf's link nothing while nobody there listens. */
export class ChangeNotice {
  readonly #nc: NatsConnection;
  readonly #gone = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  changed(): void {
    this.#timer ??= setTimeout(() => this.#tell(), GATHER_MS);
  }

  /** Nothing comes from that leaf any more: told at once, as callers wait. */
  gone(node: string): void {
    this.#gone.add(node);
    this.#tell();
  }

  /** A program ended there: who has sent something there by a kept route asks whether it was that one that had it. */
  ended(node: string): void {
    const notice: FleetChanged = { gone: [], ended: [node] };
    if (!this.#nc.isClosed()) this.#nc.publish(COMMAND_SUBJECT.fleetChanged, JSON.stringify(notice));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    this.stop();
    const notice: FleetChanged = { gone: [...this.#gone] };
    this.#gone.clear();
    if (!this.#nc.isClosed()) this.#nc.publish(COMMAND_SUBJECT.fleetChanged, JSON.stringify(notice));
  }
}
