/** `Promise.withResolvers` and what else this library uses; the programs that come with the package bring their own Node. */
const OLDEST_NODE = 22;

/** An older Node connects, and fails in the middle of the first append. @throws {Error} */
export function checkNodeVersion(version: string = process.versions.node): void {
  if (Number(version.split(".")[0]) >= OLDEST_NODE) return;
  throw new Error(
    `cim needs Node ${OLDEST_NODE} or newer, and this is ${version}: run the program with "npx node", the Node 24 that comes with the package`,
  );
}

/** What is no URL would be tried for ten seconds. @throws {TypeError} */
export function checkServerUrl(url: unknown): void {
  const text = typeof url === "string" ? url : "";
  const full = /^[a-z+]+:\/\//.test(text) ? text : `nats://${text}`;
  if (/^(nats|tls):\/\//.test(full) && URL.canParse(full) && new URL(full).hostname !== "") return;
  throw new TypeError(
    `url: ${JSON.stringify(url)} is not a server's URL; write one as nats://127.0.0.1:4222`,
  );
}
