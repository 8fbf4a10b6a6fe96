import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";
import { labHost } from "./node-plan.ts";
import type { LabProcess, ProcessEnd } from "./process.ts";

const pollMs = 15;
const requestTimeoutMs = 2_000;
/** A condition that is there this long after a start doesn't go away with the start. */
const settledMs = 3_000;

/**
 * Polls until `probe` says "ready"; anything else it says is why not yet.
 * @throws LabError when the process ends meanwhile (with its last words), or after `timeoutMs`
 */
async function waitReady(
  process: LabProcess,
  probe: () => Promise<string>,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    if (process.end) throw new LabError(await describeEnd(process, process.end), 2);
    const said = await probe().catch(errorText);
    if (said === "ready") return;
    if (performance.now() > deadlineMs) {
      throw new LabError(
        `${process.label} (pid ${process.pid}) is not ready after ${timeoutMs / 1000} s: ${said} (log: ${process.logFile})`,
        1,
      );
    }
    await sleep(pollMs);
  }
}

/** Returns when the server greets a client: it speaks only after JetStream has recovered its store. */
export async function waitForServer(process: LabProcess, port: number, timeoutMs: number): Promise<void> {
  await waitReady(process, () => greets(port), timeoutMs);
}

/**
 * Returns when the daemon says that it does its job (`/readyz`), with nothing. A daemon that has started and then says
 * for a while why it can't do its job (a full disk, a log that doesn't match) is as far as it gets: returns those codes.
 * With `alive` it only has to run (`/healthz`).
 */
export async function waitForDaemon(
  process: LabProcess,
  url: string,
  until: "ready" | "alive",
  timeoutMs: number,
): Promise<readonly string[]> {
  let unable: { readonly codes: readonly string[]; readonly sinceMs: number } | undefined;
  const probe = async () => {
    const path = until === "ready" ? "/readyz" : "/healthz";
    const reply = await fetch(url + path, { signal: AbortSignal.timeout(requestTimeoutMs) });
    const body = await reply.text();
    if (reply.ok) {
      unable = undefined;
      return "ready";
    }
    const codes = failingCodes(body);
    if (codes.length === 0 || codes.includes("starting")) unable = undefined;
    else unable = { codes, sinceMs: unable?.sinceMs ?? performance.now() };
    if (unable && performance.now() - unable.sinceMs > settledMs) return "ready";
    return `${path} answers ${reply.status} ${codes.join(", ") || body.slice(0, 200)}`;
  };
  await waitReady(process, probe, timeoutMs);
  return unable?.codes ?? [];
}

function failingCodes(body: string): string[] {
  try {
    const { failing = [] } = JSON.parse(body) as { failing?: { code: string }[] };
    return failing.map(({ code }) => code);
  } catch {
    return [];
  }
}

/** Returns when the hub's server counts a link of every one of these leaves. */
export async function waitForLinks(
  hub: LabProcess,
  monitorUrl: string,
  leaves: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const probe = async () => {
    const reply = await fetch(`${monitorUrl}/leafz`, { signal: AbortSignal.timeout(requestTimeoutMs) });
    const { leafs = [] } = (await reply.json()) as { leafs?: { name?: string }[] };
    const missing = leaves.filter((name) => !leafs.some((leaf) => leaf.name === name));
    return missing.length === 0 ? "ready" : `no link from ${missing.join(", ")}`;
  };
  await waitReady(hub, probe, timeoutMs);
}

/** Has a server read its configuration again (SIGHUP); returns when it says that it has. */
export async function reloadServer(server: LabProcess, monitorUrl: string, timeoutMs: number): Promise<void> {
  const loadedAt = async () => {
    const reply = await fetch(`${monitorUrl}/varz`, { signal: AbortSignal.timeout(requestTimeoutMs) });
    return ((await reply.json()) as { config_load_time?: string }).config_load_time;
  };
  const before = await loadedAt().catch((cause) => {
    throw new LabError(`${server.label} does not answer (${errorText(cause)}): is it stopped?`, 1, { cause });
  });
  server.signal("SIGHUP");
  const probe = async () =>
    (await loadedAt()) !== before ? "ready" : "it has not reloaded its configuration";
  await waitReady(server, probe, timeoutMs);
}

/** One line: who ended, how, and its last words. */
export async function describeEnd(process: LabProcess, { code, signal }: ProcessEnd): Promise<string> {
  const how = signal === null ? `exit code ${code}` : `by ${signal}`;
  const said = lastWords(await process.lastLines(20));
  return `${process.label} ended (${how})${said ? `: ${said}` : ""} (log: ${process.logFile})`;
}

/** The last line in which a server or daemon complains, without time stamp and pid; else the last line. */
export function lastWords(lines: readonly string[]): string {
  const complaints = lines.filter((line) =>
    /\[(FTL|ERR)\]|^nats-server: |"level":(50|60|"error"|"fatal")/.test(line),
  );
  const line = complaints.at(-1) ?? lines.at(-1) ?? "";
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    return [msg, err?.message].filter(Boolean).join(": ") || line;
  } catch {
    return line.replace(/^\[\d+\] \S+ \S+ \[\w+\] /, "").replace(/^nats-server: /, "");
  }
}

function greets(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: labHost, port });
    const say = (said: string) => {
      socket.destroy();
      resolve(said);
    };
    socket.setTimeout(requestTimeoutMs, () => say("it accepts, but says nothing"));
    socket.once("data", (data) =>
      say(data.toString().startsWith("INFO ") ? "ready" : "it is no nats-server"),
    );
    socket.once("end", () => say("it closes connections"));
    socket.once("error", (error) => say(error.message));
  });
}
