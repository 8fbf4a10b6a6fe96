import { connect as dial, type Socket } from "node:net";
import type { ProbeResult } from "./node-detector.ts";

/** Where nothing is said: NATS, and the web's ports. */
const PORTS: Readonly<Record<string, number>> = {
  "nats:": 4222,
  "tls:": 4222,
  "ws:": 80,
  "wss:": 443,
  "http:": 80,
  "https:": 443,
};
/** The host's own word that nothing listens there. */
const REFUSED = "ECONNREFUSED";
const GREETING = "INFO ";

/**
 * Looks whether something listens at a node's `url`. A nats-server must say its greeting: a port alone is also opened by
 * what stands before it, and by a process that is stopped. Everything else but a refusal is silence: a host that can't be
 * reached proves nothing.
 * @param url as `discovery.staticNodes[].url` allows them; anything else is silent
 */
export function probeUrl(url: string, timeoutMs: number): Promise<ProbeResult> {
  const parsed = URL.parse(url);
  if (!parsed) return Promise.resolve("silent");
  const { protocol, hostname, port } = parsed;
  const host = hostname.replace(/^\[|\]$/g, "");
  const greets = protocol === "nats:" || protocol === "tls:";
  return new Promise((resolve) => {
    const socket: Socket = dial({ host, port: port === "" ? (PORTS[protocol] ?? 4222) : Number(port) });
    const end = (result: ProbeResult) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end("silent"), timeoutMs);
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end(error.code === REFUSED ? "refused" : "silent"),
    );
    socket.once("close", () => end("silent"));
    if (!greets) return void socket.once("connect", () => end("answers"));
    let said = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      said += text;
      if (said.length >= GREETING.length) end(said.startsWith(GREETING) ? "answers" : "silent");
    });
  });
}
