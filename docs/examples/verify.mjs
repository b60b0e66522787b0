#!/usr/bin/env node
// Verify an event that Dispatch sends, by Standard Webhooks v1, without any package.
//
// To try it with a request that arrived:
//
//     WEBHOOK_SECRET=whsec_… node verify.mjs ID TIMESTAMP SIGNATURE < body

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TOLERANCE = 300; // seconds by which the sender's clock may differ

/**
 * Return the event, or throw.
 *
 * @param {Buffer} body the raw bytes, such as those of express.raw({ type: "*\/*" })
 * @param {Object<string, string>} headers names in lower case, as in request.headers
 * @param {string} secret "whsec_…", shown once when the endpoint was set up
 */
export function verify(body, headers, secret, now = Date.now() / 1000) {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    if (!headers[name]) throw new Error(`the header ${name} is missing`);
  }
  const timestamp = headers["webhook-timestamp"];
  if (!/^[0-9]+$/.test(timestamp)) throw new Error("the timestamp is no number");
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) {
    throw new Error("the timestamp is too old or too new");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const digest = createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${timestamp}.`)
    .update(body)
    .digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  // Several while a secret is being changed: one has to fit.
  const fits = headers["webhook-signature"].split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!fits) throw new Error("no signature fits");
  return JSON.parse(body.toString("utf8"));
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [id, timestamp, signature] = process.argv.slice(2);
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  try {
    const event = verify(readFileSync(0), headers, process.env.WEBHOOK_SECRET);
    console.log(`${event.type} ${id}`);
  } catch (error) {
    console.error(`refused: ${error.message}`);
    process.exit(1);
  }
}
