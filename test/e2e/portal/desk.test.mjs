// Staff in Chromium, at another organisation than the one that wrote the record: a clinician finds
// a patient by her pseudonym, reads what she consented to, writes a note until it is active, and
// loses the chart in the moment when the patient takes her consent back in her own browser. Then
// the administrator's and the network's views.
// SALUS_PASSKEY is the patient's passkey, SALUS_PATIENT her pseudonym, SALUS_PORTAL where she is;
// SALUS_DESK, SALUS_DESK_GATEWAY, SALUS_DESK_TOKEN are the clinician's portal and its operator's API.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const desk = process.env.SALUS_DESK;
const gateway = process.env.SALUS_DESK_GATEWAY;
const patient = process.env.SALUS_PATIENT;
const passkey = process.env.SALUS_PASSKEY ? JSON.parse(process.env.SALUS_PASSKEY) : undefined;
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !desk ? "no clinician's portal is given" : false };
const person = "desk-one";

let browser, page, hers, folder;
const faults = [];

/** operator calls the operator's API of the clinician's organisation. */
async function operator(method, path, body, more = {}) {
  const r = await fetch(gateway + path, { method, headers: { Authorization: `Bearer ${process.env.SALUS_DESK_TOKEN}`, "Content-Type": "application/json", ...more }, body: JSON.stringify(body) });
  const text = await r.text();
  assert.ok(r.ok, `${method} ${path}: ${r.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

/** watched is a page whose faults and violations of the policy fail the test. */
async function watched(context) {
  const p = await context.newPage();
  p.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  p.on("dialog", (d) => { faults.push(`dialog: ${d.message()}`); void d.dismiss(); });
  await p.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await p.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await p.setViewport({ width: 1280, height: 800 });
  return p;
}

/** authenticator gives a page a device with passkeys. */
async function authenticator(p) {
  const cdp = await p.createCDPSession();
  await cdp.send("WebAuthn.enable");
  return { cdp, ...(await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  })) };
}

before(async () => {
  if (options.skip) return;
  folder = mkdtempSync(join(tmpdir(), "salus-desk-"));
  await operator("POST", `/v1/staff/${person}`, { device: false, roles: ["sct:309343006"], privileges: 1 | 2 | 4 | 8 });
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"], headless: true });
  page = await watched(browser);
  await authenticator(page);
  hers = await watched(await browser.createBrowserContext());
  const { cdp, authenticatorId } = await authenticator(hers);
  await cdp.send("WebAuthn.addCredential", {
    authenticatorId,
    credential: { credentialId: passkey.credential, isResidentCredential: true, rpId: "localhost", privateKey: passkey.key, userHandle: passkey.handle, signCount: 0 },
  });
});

after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true });
});

const press = async (name, p = page) => (await p.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const heading = (text, p = page) => p.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const says = (pattern, p = page) => p.waitForFunction((x) => new RegExp(x).test(document.querySelector("main")?.textContent ?? ""), wait, pattern).catch(async (err) => {
  throw new Error(`waited for “${pattern}”, the page says: ${await p.$eval("main", (m) => m.innerText.slice(-2500)).catch(() => "nothing")}`, { cause: err });
});
const shown = () => page.$eval("main", (m) => m.textContent);
const fill = async (label, text) => (await page.waitForSelector(`::-p-aria([name="${label}"][role="textbox"])`, wait)).type(text);

const check = (name, p = page) => look(p, name, faults);

test("the patient lets the clinic look", options, async () => {
  await hers.goto(portal, { waitUntil: "networkidle0" });
  await press("Sign in with a passkey", hers);
  await hers.waitForSelector(".views", wait);
  await hers.goto(`${portal}/#/patient/grants`);
  await heading("Who may look", hers);
  await press("Open my secret order", hers);
  await says("Opened in this page", hers);
  await press("Give a consent", hers);
  await says("What this reader would get", hers);
  const { member } = await (await fetch(`${desk}/api/about`, { headers: { Origin: desk } })).json();
  await hers.select(`select:has(option[value="${member}"])`, member);
  await press("Sign with my passkey", hers);
  await says("Your consent holds since block \\d+", hers);
});

test("a clinician signs in for a purpose; without a patient there is nothing but the doors", options, async () => {
  const { code } = await operator("POST", "/v1/codes", { staff: person });
  await page.goto(desk + "/#/clinician");
  await heading("For staff");
  await check("clinic-door");
  await (await page.waitForSelector("::-p-text(Sign in as staff)", wait)).click();
  await (await page.waitForSelector("input[name=code]", wait)).type(code);
  await Promise.all([page.waitForNavigation(wait), page.click("button[type=submit], button:not([type])")]);
  if (page.url().includes("/approve")) await Promise.all([page.waitForNavigation(wait), page.click("button[value=allow], button[type=submit], button:not([type])")]);
  await heading("Patients");
  await says("You read for this purpose: treatment");
  await check("clinic-patients");
});

test("with that code she registers a passkey, and comes in with it from then on", options, async () => {
  await page.goto(desk + "/#/clinician/passkeys");
  await heading("My passkeys");
  await says("You have no passkey here yet");
  await fill("Name of the passkey", "Ward key");
  await press("Register a passkey");
  await says("The passkey is registered");
  await says("Ward key");
  await says("not used yet");
  await check("staff-keys");
  await press("Sign out");
  await page.goto(desk + "/#/clinician");
  await heading("For staff");
  await press("Sign in with a passkey");
  await heading("Patients");
  await says("You read for this purpose: treatment");
});

test("she finds the patient by her pseudonym alone", options, async () => {
  await fill("Pseudonym or claim code", "no pseudonym");
  await press("Find");
  await says("There is no pseudonym in this");
  const box = await page.$(`::-p-aria([name="Pseudonym or claim code"][role="textbox"])`);
  await box.click({ clickCount: 3 });
  await box.type("0".repeat(26));
  await press("Find");
  await says("The network has no patient of this pseudonym");
  await box.click({ clickCount: 3 });
  await box.type(patient);
  await press("Find");
  await says("not known here yet");
  await check("clinic-found");
});

test("she opens the chart: what the consent allows, and the time that is left", options, async () => {
  await press("Make her known here");
  await heading(`Chart: Pseudonym ${patient.slice(0, 8)}`);
  await says("Time left: \\d+:\\d\\d");
  await says("Opened in block \\d+");
  await page.waitForSelector(".lines > li", wait);
  await check("clinic-chart");
});

test("she writes a note, and sees when it is active", options, async () => {
  await press("Write");
  await says("Fill this in");
  await fill("Title", "Visit");
  await fill("Text", "Slept well <img src=x onerror=alert(1)>");
  await press("Write");
  await says("now encrypted, its key split");
  await says("Active: anchored on the ledger");
  await says("Slept well <img src=x onerror=alert\\(1\\)>");
  await check("clinic-written");
});

test("the patient takes her consent back in her own browser: the open chart ends, and says why", options, async () => {
  const lines = (await page.$$(".lines > li")).length;
  assert.ok(lines > 1);
  await press("Take back", hers);
  await says("Taken back. It took effect at block \\d+", hers);
  await says("This access has ended: the patient changed her consents");
  assert.equal(await page.$(".lines > li"), null);
  assert.ok(!(await shown()).includes("Time left"));
  await check("clinic-ended");
  await press("Ask again");
  await says("Slept well");
  const now = (await page.$$(".lines > li")).length;
  assert.ok(now < lines, `${now} of ${lines} lines are left: what others wrote must be gone`);
  await check("clinic-own");
});

test("the patient asks which records the clinician read", options, async () => {
  await hers.goto(`${portal}/#/patient/looked`);
  await heading("Who looked", hers);
  await hers.waitForSelector(".note-good", wait);
  await hers.evaluate(() => {
    const row = [...document.querySelectorAll(".lines > li")].find((li) => /Sample Street Clinic/.test(li.textContent) && /treatment/.test(li.textContent) && /\d+ records?/.test(li.querySelector(".facts").textContent));
    row.querySelector("summary").click();
  });
  await press("Which records?", hers);
  await hers.waitForSelector(".which li", wait);
  assert.match(await hers.$eval(".which", (e) => e.textContent), /\d+ records that Sample Hospital wrote/);
  await check("looked-which", hers);
});

test("she breaks the glass with her passkey, first and then for more, and the patient reads it", options, async () => {
  assert.ok((await shown()).includes("Break the glass"));
  await check("clinic-break");
  await press("Declare with my passkey");
  await says("Open more in this emergency");
  await says("Opened in block \\d+");
  await check("clinic-emergency");
  await hers.bringToFront();
  await says("declared an emergency", hers);
  await page.bringToFront();
  await press("Open more with my passkey");
  await page.waitForFunction(() => document.querySelector("#break") !== null && !document.querySelector("main").textContent.includes("Waiting for your passkey"), wait);
  assert.equal(await page.$("[role=alert]"), null);
  await page.goto(desk + "/#/clinician/duties");
  await heading("What is owed");
  await says("emergency treatment");
  await page.goto(desk + "/#/clinician");
  await press("Sign in with a passkey");
  await says("You read for this purpose: treatment");
});

test("an administrator sees the node and registers a device", options, async () => {
  await page.goto(desk + "/#/organisation");
  await heading("This node");
  await says("The vault has no damage");
  await says(person);
  await fill("Name of the key", "Scanner 1");
  await press("Register");
  await says("Small letters, digits and hyphens");
  const box = await page.$(`::-p-aria([name="Name of the key"][role="textbox"])`);
  await box.click({ clickCount: 3 });
  await box.type("scanner-1");
  await press("Register");
  await says("scanner-1 is on the ledger");
  await press("Make a one-time code");
  await says("It serves once, until");
  await check("organisation-admin");
});

test("she imports by drag and drop: each rejected resource with its place and reason, the others are kept", options, async () => {
  const bundle = { resourceType: "Bundle", type: "collection", entry: [
    { fullUrl: "urn:uuid:0b0e4c1e-0000-4000-8000-000000000001", resource: { resourceType: "Patient", id: "in", name: [{ family: "Imported" }] } },
    { resource: { resourceType: "Observation", id: "o1", status: "final", code: { text: "Pulse" }, subject: { reference: "urn:uuid:0b0e4c1e-0000-4000-8000-000000000001" }, valueQuantity: { value: 60, unit: "/min" } } },
    { resource: { resourceType: "Pulse", id: "o2" } },
  ] };
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.items.add(new File([text], "bundle.json", { type: "application/fhir+json" }));
    document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, JSON.stringify(bundle));
  await says("2 records stored, 0 were here already, 1 rejected, 1 patients");
  await page.waitForSelector("caption", wait);
  await says("names a resource of FHIR R4");
  const path = join(folder, "not-json.json");
  writeFileSync(path, "this is no Bundle");
  await (await page.$("input[type=file]")).uploadFile(path);
  await page.waitForFunction(() => document.querySelector(".note-bad[role=alert]") !== null || /1 rejected/.test(document.querySelector("main").textContent), wait);
  await check("organisation-imported");
});

test("a table with its mapping, and a document, are taken in; what is not XML is refused whole", options, async () => {
  const input = () => page.$("input[type=file]");
  await (await input()).uploadFile("../../../examples/csv/people.csv");
  await says("Name of the mapping for people.csv");
  await (await input()).uploadFile("../../../examples/csv/people.toml");
  await says("resources written.*3 rows, 0 of them rejected");
  await (await input()).uploadFile("../../../ccda/testdata/summary.xml");
  await says("\\d+ resources written, \\d+ changed");
  await check("organisation-intake");
  const path = join(folder, "broken.xml");
  writeFileSync(path, "<ClinicalDocument>");
  await (await input()).uploadFile(path);
  await says("That did not work");
});

test("she hands a record over to the patient who stands there, whose camera reads the code", options, async () => {
  await operator("PUT", "/fhir/Patient/desk", { resourceType: "Patient", id: "desk", name: [{ given: ["Desk"], family: "Sample" }], birthDate: "1970-01-02" }, { "Content-Type": "application/fhir+json", "Salus-Wait": "active" });
  await page.goto(desk + "/#/clinician");
  await heading("Patients");
  await fill("Name begins with", "Samp");
  await press("Search");
  await press("Open the chart of Desk Sample");
  await heading("Chart: Desk Sample");
  await press("Show the claim code");
  await page.waitForSelector("svg.qr", wait);
  await check("clinic-handed");
  const code = await page.$eval(".handed-code", (e) => e.textContent);
  const her = await watched(await browser.createBrowserContext());
  await authenticator(her);
  await her.goto(desk + "/#/patient/claim");
  await heading("Take over your record", her);
  assert.equal(await her.$(".scan"), null, "no button where the browser has no decoder");
  await her.evaluateOnNewDocument(() => {
    window.scanned = "https://elsewhere.example/";
    window.BarcodeDetector = class { detect() { return Promise.resolve([{ rawValue: window.scanned }]); } };
  });
  await her.reload({ waitUntil: "networkidle0" });
  await press("Scan the square with the camera", her);
  await says("it is no claim code", her);
  await check("claim-scan", her);
  await her.evaluate((link) => { window.scanned = link; }, `${desk}/#/patient/claim/${code.replaceAll("-", "")}`);
  await her.waitForFunction((c) => document.querySelector("textarea")?.value === c, wait, code);
  assert.equal(await her.$("video"), null, "the camera is let go");
  await press("Take it over with a passkey", her);
  await heading("Who looked", her);
  await says("took control of the account with a claim code", her);
  await press("Hide it");
  await press("Show the claim code");
  await says("She has taken her record over already");
  assert.equal(await page.$("svg.qr"), null);
});

test("a transaction is said in plain words, beside what only key holders see", options, async () => {
  await page.goto(desk + "/#/network");
  await heading("The network");
  await says("custodians together open a record’s key");
  await (await page.waitForSelector("td button", wait)).click();
  await says("What only key holders see");
  await page.waitForSelector(".beside li", wait);
  await check("network-look");
});

test("signing out ends the session at the server", options, async () => {
  await press("Sign out");
  await page.goto(desk + "/#/clinician");
  await heading("For staff");
  const status = await page.evaluate(async () => (await fetch("/api/fhir/Patient?_count=1")).status);
  assert.equal(status, 401);
});
