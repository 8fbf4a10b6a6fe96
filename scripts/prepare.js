/**
 * Makes a checkout runnable and prints the path of a Node >= 24 on stdout; everything it has to say goes
 * to stderr. Runs on Node 20 with nothing installed, so: plain JavaScript, no dependencies.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installedMatchesLock } from "./installed-packages.js";

const NODE_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ownNode = join(root, "node_modules", "node", "bin", "node");

installPackages();
process.stdout.write(`${findNode()}\n`);

function installPackages() {
  const lock = readJson("package-lock.json");
  const installed = readJson("node_modules/.package-lock.json");
  if (installed && (!lock || installedMatchesLock(lock, installed))) return;
  // `npm ci` starts from an empty folder; on one that is only behind, `install` keeps what a running fleet uses.
  const command = installed || !lock ? "install" : "ci";
  say(`${installed ? "node_modules is behind package-lock.json" : "no node_modules yet"}: npm ${command} …`);
  // npm's stdout goes to our stderr: our stdout is the answer. Its warnings are about Node 20, which only starts us.
  const { status, error } = spawnSync("npm", [command, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (error) fail(`npm could not be started (${error.message}): install Node.js with npm, then try again`);
  if (status !== 0) fail(`npm ${command} failed: see its message above, then try again`);
}

/** @returns {string} */
function findNode() {
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) return process.execPath;
  try {
    accessSync(ownNode, constants.X_OK);
    return ownNode;
  } catch {
    return fail(
      `Node ${process.versions.node} is older than ${NODE_MAJOR} and ${ownNode} is missing ` +
        "(were install scripts switched off?): run `npm rebuild node --ignore-scripts=false`",
    );
  }
}

/** @param {string} name */
function readJson(name) {
  const path = join(root, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

/** @param {string} message */
function say(message) {
  process.stderr.write(`cim: ${message}\n`);
}

/** @param {string} message @returns {never} */
function fail(message) {
  say(message);
  process.exit(2);
}
