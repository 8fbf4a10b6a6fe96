import { execFile } from "node:child_process";

const CHECK_TIMEOUT_MS = 15_000;

/** nats-server will not start with this configuration. The message is one line. */
export class ServerConfigError extends Error {
  override readonly name = "ServerConfigError";
}

/**
 * Has nats-server judge a configuration file (`nats-server -t -c`), without starting it.
 * @throws {ServerConfigError}
 */
export async function checkServerConfig(binary: string, configFile: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    execFile(binary, ["-t", "-c", configFile], { timeout: CHECK_TIMEOUT_MS }, (cause, stdout, stderr) => {
      if (cause === null) resolve();
      else reject(new ServerConfigError(faultOf(cause, stdout + stderr, configFile), { cause }));
    });
  });
}

function faultOf(cause: Error & { killed?: boolean }, said: string, configFile: string): string {
  if (cause.killed) return `${configFile}: nats-server did not judge it within ${CHECK_TIMEOUT_MS} ms`;
  const lines = said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/is valid$/.test(line));
  // Of several faults the first; nats-server repeats the file's name before each.
  const first = (lines[0] ?? cause.message)
    .replace(/^nats-server: /, "")
    .replaceAll(`${configFile}:`, "line ")
    .replaceAll(configFile, "it");
  const more = lines.length > 1 ? ` (and ${lines.length - 1} more)` : "";
  return `${configFile}: ${first}${more}`;
}
