// An organisation is down, in Chromium: with a custodian gone a patient reads her record all the same;
// with her own hospital gone its portal says so, and the same passkey opens the same record at another
// organisation's, if it has the same host name, as here: a passkey belongs to one. SALUS_OTHER is that portal; GET SALUS_SWITCH/stop/<organisation> and /start/<organisation>
// stop and start processes; SALUS_PASSKEY is her passkey. With two of four gone the ledger stands still:
// SALUS_DESK, SALUS_DESK_GATEWAY, SALUS_DESK_TOKEN are the portal of a clinician at her hospital and its operator's API.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const other = process.env.SALUS_OTHER;
const passkey = process.env.SALUS_PASSKEY ? JSON.parse(process.env.SALUS_PASSKEY) : undefined;
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !other ? "no network to switch is given" : false };

let browser, page;
const faults = [];

before(async () => {
  if (options.skip) return;
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  await page.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await page.setViewport({ width: 1280, height: 800 });
  const cdp = await page.createCDPSession();
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await cdp.send("WebAuthn.addCredential", {
    authenticatorId,
    credential: { credentialId: passkey.credential, isResidentCredential: true, rpId: "localhost", privateKey: passkey.key, userHandle: passkey.handle, signCount: 0 },
  });
});

after(async () => browser?.close());

const press = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const heading = (text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const says = (pattern) => page.waitForFunction((p) => new RegExp(p).test(document.querySelector("main")?.textContent ?? ""), wait, pattern).catch(async (err) => {
  throw new Error(`waited for “${pattern}”, the page says: ${await page.$eval("main", (m) => m.innerText.slice(-2500)).catch(() => "nothing")}`, { cause: err });
});
const turn = async (what) => {
  const r = await fetch(`${process.env.SALUS_SWITCH}/${what}`);
  assert.equal(r.status, 200, await r.text());
};

const check = (name) => look(page, name, faults);

async function enter(at) {
  await page.goto(at);
  await press("Sign in with a passkey");
  await page.waitForSelector(".views", wait);
}

async function read(at) {
  await page.goto(at + "/#/patient/record");
  await heading("My record");
  await press("Open my record");
  await page.waitForSelector("section[aria-label=Timeline]", wait);
  return page.$$eval(".entry", (all) => all.length);
}

/** operator calls the operator's API of her hospital. */
async function operator(method, path, body, more = {}) {
  const r = await fetch(process.env.SALUS_DESK_GATEWAY + path, { method, headers: { Authorization: `Bearer ${process.env.SALUS_DESK_TOKEN}`, "Content-Type": "application/json", ...more }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await r.text();
  assert.ok(r.ok, `${method} ${path}: ${r.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

/** until asks again and again, for two minutes. */
async function until(what, is) {
  for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((r) => setTimeout(r, 300))) {
    if (await is().catch(() => false)) return;
  }
  throw new Error(`waited for: ${what}`);
}

const still = () => page.evaluate(async () => (await (await fetch("/api/node")).json()).noQuorum > 0);
const speak = async (language) => {
  await page.evaluate((l) => localStorage.setItem("salus-language", l), language);
  await page.reload();
};
/** as does something at the clinician's page, with the same means. */
async function as(other, f) {
  const hers = page;
  page = other;
  try { return await f(); } finally { page = hers; }
}
const fill = async (label, text) => (await page.waitForSelector(`::-p-aria([name="${label}"][role="textbox"])`, wait)).type(text);

let desk;
const note = async (title) => {
  await fill("Title", title);
  await fill("Text", "A synthetic note.");
  await press("Write");
};
const chart = async () => {
  await page.goto(process.env.SALUS_DESK + "/#/clinician");
  await page.reload();
  await heading("Patients");
  await fill("Name begins with", "Outa");
  await press("Search");
  await press("Open the chart of Still Outage");
  await heading("Chart: Still Outage");
};

test("before: she lets the clinic look, and a clinician of her hospital signs in", options, async () => {
  await enter(portal);
  await page.goto(portal + "/#/patient/grants");
  await heading("Who may look");
  await press("Open my secret order");
  await says("Opened in this page");
  await press("Give a consent");
  await says("What this reader would get");
  await press("Sign with my passkey");
  await says("Your consent holds since block \\d+");
  await operator("POST", "/v1/staff/still-one", { device: false, roles: ["sct:309343006"], privileges: 1 | 2 });
  await operator("PUT", "/fhir/Patient/still", { resourceType: "Patient", id: "still", name: [{ given: ["Still"], family: "Outage" }] }, { "Content-Type": "application/fhir+json", "Salus-Wait": "active" });
  await operator("PUT", "/fhir/Condition/still", { resourceType: "Condition", id: "still", subject: { reference: "Patient/still" }, code: { text: "Before the outage" } }, { "Content-Type": "application/fhir+json", "Salus-Wait": "active" });
  desk = await (await browser.createBrowserContext()).newPage();
  desk.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  await desk.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await desk.setViewport({ width: 1280, height: 800 });
  await as(desk, async () => {
    const { code } = await operator("POST", "/v1/codes", { staff: "still-one" });
    await page.goto(process.env.SALUS_DESK + "/#/clinician");
    await (await page.waitForSelector("::-p-text(Sign in as staff)", wait)).click();
    await (await page.waitForSelector("input[name=code]", wait)).type(code);
    await Promise.all([page.waitForNavigation(wait), page.click("button[type=submit], button:not([type])")]);
    if (page.url().includes("/approve")) await Promise.all([page.waitForNavigation(wait), page.click("button[value=allow], button[type=submit], button:not([type])")]);
    await heading("Patients");
  });
});

test("with two of four away the page says what is not possible, and for how long; no change of consent is said to be done", options, async () => {
  await turn("stop/insurer");
  await turn("stop/institute");
  await until("her node says that there is no quorum", still);
  await page.reload();
  await page.waitForFunction(() => /Too few members.*since.*Nobody can open what another organisation keeps.*no permission can be given or taken back.*stood still for \d+ (second|minute)/.test(document.querySelector(".standing")?.textContent ?? ""), wait);
  await heading("Who may look");
  await says("Practitioners of .* may read for treatment");
  await press("Take back");
  await says("Nothing was sent and nothing has changed");
  assert.doesNotMatch(await page.$eval("main", (m) => m.textContent), /Taken back/);
  await check("still-grants");
  await page.reload();
  await heading("Who may look");
  await says("Practitioners of .* may read for treatment");
});

test("she reads what her hospital wrote, and is told that it is not all", options, async () => {
  await page.goto(portal + "/#/patient/record");
  await heading("My record");
  await press("Open my record");
  await says("Nothing was sent and nothing has changed");
  await check("still-closed");
  await press("Open what Sample Hospital wrote");
  await page.waitForSelector("section[aria-label=Timeline]", wait);
  await says("only what Sample Hospital wrote itself.*not your whole record");
  assert.ok((await page.$$(".entry")).length > 0);
  await check("still-own");
  await speak("de");
  await heading("Meine Akte");
  await press("Öffnen, was Sample Hospital geschrieben hat");
  await says("Es ist nicht Ihre ganze Akte");
  await check("still-own-de");
  await speak("en");
});

test("a clinician reads and writes what is her hospital's own, and no emergency and no session is opened", options, () => as(desk, async () => {
  await chart();
  await says("The other organisations could not be asked");
  await says("Before the outage");
  await note("During the outage");
  await says("Stored here. The network has not confirmed it yet");
  await says("During the outage");
  await check("still-chart");
  const status = await page.evaluate(async () => (await fetch("/api/own")).status);
  assert.equal(status, 403, "the store of the organisation is not staff's by that way");
}));

test("when the members are back the notice goes, nothing that was refused has come to life, and what waited is active", options, async () => {
  await turn("start/insurer");
  await until("her node says that the ledger goes on", async () => !(await still()));
  await page.goto(portal + "/#/patient/grants");
  await page.reload();
  await heading("Who may look");
  await page.waitForFunction(() => document.querySelector(".standing") === null, wait);
  await says("Practitioners of .* may read for treatment");
  assert.equal(await page.evaluate(async () => (await fetch("/api/own")).status), 409, "the way around the ledger is closed");
  await press("Take back");
  await says("Taken back. It took effect at block \\d+");
  await until("what waited is active", async () => {
    const { stored, outbox } = await operator("GET", "/v1/status");
    return stored + outbox === 0;
  });
  await as(desk, async () => {
    await chart();
    await says("During the outage");
    await page.close();
  });
  await turn("start/institute");
});

test("with one custodian down she reads all of her record", options, async () => {
  await turn("stop/institute");
  assert.ok((await read(portal)) > 0);
  assert.equal(await page.$(".note-bad"), null, "nobody is accused for being away");
  await turn("start/institute");
});

test("with her hospital down its page says so and loses nothing that was open, and tries again", options, async () => {
  await turn("stop/hospital");
  assert.ok((await page.$$(".entry")).length > 0, "what is open stays open");
  await page.goto(portal + "/#/patient/looked");
  await heading("Who looked");
  await says("That did not work.*The portal cannot be reached");
  await check("down");
});

test("the same passkey opens the same record at another organisation's portal", options, async () => {
  await enter(other);
  await heading("Who looked");
  await page.waitForSelector(".note-good", wait);
  assert.ok((await read(other)) > 0);
  await turn("start/hospital");
  await page.goto(portal, { waitUntil: "networkidle0" });
  await page.waitForSelector("h1", wait);
});
