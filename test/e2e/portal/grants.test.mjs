// Who may look, in Chromium: a patient who holds a record gives a consent, narrows it, takes it
// back, gives one that begins later, sees each in her log, and an altered log turns red.
// SALUS_PASSKEY is her passkey as JSON: credential, key (PKCS #8), handle, in base64.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look, picture } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const passkey = process.env.SALUS_PASSKEY ? JSON.parse(process.env.SALUS_PASSKEY) : undefined;
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !passkey ? "no patient was made for it" : false };

let browser, page, cdp;
const faults = [];

before(async () => {
  if (options.skip) return;
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await page.setExtraHTTPHeaders({ "Accept-Language": "en" });
  cdp = await page.createCDPSession();
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await cdp.send("WebAuthn.addCredential", {
    authenticatorId,
    credential: { credentialId: passkey.credential, isResidentCredential: true, rpId: "localhost", privateKey: passkey.key, userHandle: passkey.handle, signCount: 0 },
  });
  await page.setViewport({ width: 1280, height: 800 });
});

after(async () => browser?.close());

const press = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const heading = (text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const says = (pattern) => page.waitForFunction((p) => new RegExp(p).test(document.querySelector("main")?.textContent ?? ""), wait, pattern);
const go = async (view, title) => {
  await page.goto(`${portal}/#/patient/${view}`);
  await heading(title);
};
const tick = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="checkbox"])`, wait)).click();

const check = (name) => look(page, name, faults);

test("she signs in, and nobody may look", options, async () => {
  await page.goto(portal, { waitUntil: "networkidle0" });
  await press("Sign in with a passkey");
  await page.waitForSelector(".views", wait);
  await go("grants", "Who may look");
  await says("Nobody may look at your records");
  await check("grants-none");
});

test("she opens her secret order and gives a consent, whose reader she sees before", options, async () => {
  await press("Open my secret order");
  await says("Opened in this page.*You have \\d+ records");
  await press("Give a consent");
  await says("What this reader would get");
  await says("Today it would be 0");
  await check("grants-form");
  await press("Sign with my passkey");
  await says("Your consent holds since block \\d+");
  await says("Practitioners of .* may read for treatment, until");
  await says("All kinds of records but genetic disease, HIV and AIDS");
  await says("Who could read now[\\s\\S]*Practitioners of .*: \\d+ of your \\d+ records");
  await check("grants-given");
});

test("she narrows it to laboratory results", options, async () => {
  await press("Narrow or change");
  await says("What this reader would get");
  for (const kind of ["administration", "allergies", "bills", "care plans", "diagnoses", "documents and notes", "visits and stays", "images", "vaccinations", "medicines", "procedures", "social history", "vital signs"]) await tick(kind);
  await says("Only laboratory results");
  await press("Sign with my passkey");
  await says("Your consent holds since block \\d+");
  await says("Only laboratory results");
});

test("a transaction that her passkey does not sign is not sent", options, async () => {
  await page.evaluate(() => { navigator.credentials.get = () => Promise.reject(new DOMException("no", "NotAllowedError")); });
  await press("Take back");
  await says("The passkey was not used");
  await says("Only laboratory results");
  await page.reload();
  await heading("Who may look");
});

test("she takes it back, and sees the block", options, async () => {
  await press("Take back");
  await says("Taken back. It took effect at block \\d+");
  await says("Nobody may look at your records");
});

test("one signature gives a consent and takes back every other", options, async () => {
  await press("Open my secret order");
  await says("Opened in this page");
  await press("Give a consent");
  await press("Sign with my passkey");
  await says("Your consent holds since block \\d+");
  await page.evaluate(() => {
    const get = navigator.credentials.get.bind(navigator.credentials);
    window.signed = 0;
    navigator.credentials.get = (o) => (window.signed++, get(o));
  });
  await press("Give a consent");
  await tick("Nobody but this: take back every other consent");
  await says("From its block on it holds, and the others are taken back");
  await check("grants-nobody-else");
  await page.evaluate(() => { document.querySelector(".note-good")?.setAttribute("data-before", ""); });
  await press("Sign with my passkey");
  await page.waitForFunction(() => document.querySelectorAll('main ul[aria-label="Who may look"] > li').length === 1 && document.querySelector(".note-good:not([data-before])") !== null, wait);
  assert.equal(await page.evaluate(() => window.signed), 1);
  await press("Take back");
  await says("Taken back. It took effect at block \\d+");
  await says("Nobody may look at your records");
});

test("a wider consent begins a day later, if she wants that, and is cancelled before", options, async () => {
  await tick("Widening takes effect after a day");
  await page.reload();
  await heading("Who may look");
  await page.waitForSelector('::-p-aria([name="Widening takes effect after a day"][role="checkbox"]):checked', wait);
  await press("Open my secret order");
  await says("Opened in this page");
  await press("Give a consent");
  await says("from .* on, until .*It gives more than before, so it begins on");
  await says("[1-9]\\d* of your \\d+ records from .* on, and until then 0\\. Today it would be 0");
  await picture(page, "grants-later", faults);
  await press("Sign with my passkey");
  await says("Signed at block \\d+\\. It begins on");
  await says("Practitioners of .* may read for treatment, from .* on, until.*begins on");
  await check("grants-begins");
  await press("Cancel before it begins");
  await says("Taken back. It took effect at block \\d+");
  await says("Nobody may look at your records");
  await tick("Widening takes effect after a day");
});

test("her log shows each change, verified; it is filtered and explained", options, async () => {
  await go("looked", "Who looked");
  await page.waitForSelector(".note-good", wait);
  await says("[Yy]ou gave a consent.*");
  await says("[Yy]ou changed a consent");
  await says("[Yy]ou took back 1 consent");
  const all = (await page.$$(".lines > li")).length;
  await page.select(".filters select", "consent");
  await page.waitForFunction((n) => document.querySelectorAll(".lines > li").length === 10 && n > 10, wait, all);
  await page.click(".more summary");
  await says("From that block on nobody can read under it");
  await says("Account");
  await check("looked-filtered");
});

test("what is new is marked until she has seen it", options, async () => {
  await page.waitForSelector(".newsbar", wait);
  await go("news", "What is new");
  await page.waitForSelector(".unread", wait);
  await check("news");
  await press("Mark all as seen");
  await page.waitForFunction(() => document.querySelector(".unread") === null, wait);
  await go("looked", "Who looked");
  assert.equal(await page.$(".newsbar"), null);
});

test("a planted fault turns the log red, with what does not fit", options, async () => {
  await page.setRequestInterception(true);
  const alter = async (r) => {
    if (!r.url().endsWith("/api/receipts/log")) return r.continue();
    const c = (await browser.cookies()).find((x) => x.name.includes("salus"));
    const b = Buffer.from(await (await fetch(r.url(), { headers: { Cookie: `${c.name}=${c.value}`, "Sec-Fetch-Site": "same-origin" } })).arrayBuffer());
    // A consent was given: one bit of it, in the payload of an entry.
    const at = b.indexOf(Buffer.from(passkey.handle, "base64"), b.length >> 1);
    b[at] ^= 1;
    return r.respond({ status: 200, contentType: "application/cbor", body: b });
  };
  page.on("request", alter);
  await page.goto(portal + "/#/network");
  await page.goto(portal + "/#/patient/looked");
  await page.waitForSelector(".note-bad", wait);
  assert.match(await page.$eval(".note-bad", (e) => e.textContent), /\(0x25.*(another account|altered|damaged|does not lead)/);
  assert.equal(await page.$(".lines"), null);
  await check("looked-red");
  page.off("request", alter);
  await page.setRequestInterception(false);
});
