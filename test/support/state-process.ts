import { connect } from "@nats-io/transport-node";
import { startStates } from "./state-node.ts";

// Folds states until it is killed: <url of the server that has the log>
const [url] = process.argv.slice(2) as [string];

startStates(await connect({ servers: url }));
