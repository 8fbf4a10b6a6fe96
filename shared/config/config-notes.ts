import type { Config } from "./derived.ts";

/**
 * What a valid configuration asks for that this build only reads, or that weakens a promise.
 * For `check-config` and for the log at start: nothing that was asked for is dropped in silence.
 */
export function configNotes(config: Config): string[] {
  const notes: string[] = [];
  const readOnly = (path: string) =>
    notes.push(`${path} is read and checked, but this build does not act on it yet`);
  if (config.discovery.methods.some((method) => method !== "static")) readOnly("discovery.methods");
  if (config.discovery.staticNodes.length > 0) readOnly("discovery.staticNodes");
  if (config.routing.strategy !== "round-robin") readOnly("routing.strategy");
  if (config.audit.events.length > 0) readOnly("audit.events");
  if (config.nats.syncInterval !== "always") {
    notes.push(
      `nats.syncInterval is ${config.nats.syncInterval}: a power cut can take back events acknowledged within that time`,
    );
  }
  return notes;
}
