package config

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"salus/ledger/tx"
)

var update = flag.Bool("update", false, "write the reference file anew")

func valid(t testing.TB) *Config {
	c := Default(t.TempDir())
	c.Member = tx.Account{1}
	c.Name = "sample-clinic"
	return c
}

func TestSavedConfigLoadsEqual(t *testing.T) {
	c := valid(t)
	c.Ledger.RPC = "127.0.0.1:26657"
	c.Ledger.Peers = []string{strings.Repeat("ab", 20) + "@10.0.0.2:26656", strings.Repeat("cd", 20) + "@node.example:26656"}
	c.Ledger.StateSync = StateSync{Enable: true, Servers: []string{"http://10.0.0.2:26657", "http://10.0.0.3:26657"}, TrustHeight: 7, TrustHash: strings.Repeat("0f", 32)}
	c.Record.Fold = Duration{time.Millisecond}
	c.Record.Reserve = 1 << 20
	c.FHIR.KeepLog = MinKeepLog
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(c.Home)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, got); d != "" {
		t.Error(d)
	}
	info, err := os.Stat(filepath.Join(c.Home, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, want 0600", info.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(c.Home, ".*")); len(left) != 0 {
		t.Errorf("got %v left behind", left)
	}
}

func TestEveryValueThatCannotWorkIsRefusedByItsKey(t *testing.T) {
	synced := func(c *Config) *StateSync {
		c.Ledger.StateSync = StateSync{Enable: true, Servers: []string{"http://a:1", "http://b:1"}, TrustHeight: 1, TrustHash: strings.Repeat("00", 32)}
		return &c.Ledger.StateSync
	}
	for _, x := range []struct {
		key  string
		make func(*Config)
	}{
		{"member", func(c *Config) { c.Member = tx.Account{} }},
		{"name", func(c *Config) { c.Name = "" }},
		{"fhir.base", func(c *Config) { c.FHIR.Base = "fhir.example.org" }},
		{"fhir.base", func(c *Config) { c.FHIR.Base = "https://fhir.example.org/fhir/" }},
		{"smart.provider", func(c *Config) { c.SMART.Provider = "http://id.example.org" }},
		{"smart.provider_client", func(c *Config) { c.SMART.Provider = "https://id.example.org" }},
		{"fhir.store", func(c *Config) { c.FHIR.Store = "mysql" }},
		{"fhir.wait", func(c *Config) { c.FHIR.Wait = "never" }},
		{"fhir.session", func(c *Config) { c.FHIR.Session.Duration = 0 }},
		{"fhir.journal", func(c *Config) { c.FHIR.Journal.Duration = 0 }},
		{"fhir.keep_log", func(c *Config) { c.FHIR.KeepLog = MinKeepLog - 1 }},
		{"fhir.keep_log", func(c *Config) { c.FHIR.KeepLog = -MinKeepLog }},
		{"fhir.keep_log", func(c *Config) { c.FHIR.KeepLog = 2190 }},
		{"fhir.summary", func(c *Config) { c.FHIR.Summary.Duration = -1 }},
		{"fhir.step_up", func(c *Config) { c.FHIR.StepUp.Duration = 0 }},
		{"fhir.step_up", func(c *Config) { c.FHIR.StepUp.Duration = time.Hour }},
		{"name", func(c *Config) { c.Name = "two words" }},
		{"name", func(c *Config) { c.Name = strings.Repeat("a", 65) }},
		{"roles", func(c *Config) { c.Roles = nil }},
		{"roles", func(c *Config) { c.Roles = []string{"ledger", "custody", "vault"} }},
		{"roles", func(c *Config) { c.Roles = []string{"ledger", "custody", "vault", "gatewey"} }},
		{"roles", func(c *Config) { c.Roles = []string{"ledger", "custody", "vault", "vault"} }},
		{"log_level", func(c *Config) { c.LogLevel = "loud" }},
		{"ledger.listen", func(c *Config) { c.Ledger.Listen = "" }},
		{"ledger.listen", func(c *Config) { c.Ledger.Listen = "127.0.0.1" }},
		{"ledger.listen", func(c *Config) { c.Ledger.Listen = "127.0.0.1:0" }},
		{"ledger.listen", func(c *Config) { c.Ledger.Listen = "127.0.0.1:70000" }},
		{"ledger.rpc", func(c *Config) { c.Ledger.RPC = "26657" }},
		{"ledger.rpc", func(c *Config) { c.Ledger.RPC = c.Ledger.Listen }},
		{"peer.listen", func(c *Config) { c.Peer.Listen = "x" }},
		{"peer.listen", func(c *Config) { c.Peer.Listen = c.Ledger.Listen }},
		{"gateway.listen", func(c *Config) { c.Gateway.Listen = "x:http" }},
		{"gateway.listen", func(c *Config) { c.Gateway.Listen = c.Peer.Listen }},
		{"ledger.peers", func(c *Config) { c.Ledger.Peers = []string{"127.0.0.1:26656"} }},
		{"ledger.peers", func(c *Config) { c.Ledger.Peers = []string{"abcd@127.0.0.1:26656"} }},
		{"ledger.peers", func(c *Config) { c.Ledger.Peers = []string{strings.Repeat("ab", 20) + "@:26656"} }},
		{"ledger.peers", func(c *Config) { c.Ledger.Peers = []string{""} }},
		{"ledger.heartbeat", func(c *Config) { c.Ledger.Heartbeat.Duration = 0 }},
		{"ledger.heartbeat", func(c *Config) { c.Ledger.Heartbeat.Duration = 8 * time.Second }},
		{"custody.compact_every", func(c *Config) { c.Custody.CompactEvery.Duration = 0 }},
		{"custody.compact_every", func(c *Config) { c.Custody.CompactEvery.Duration = 25 * time.Hour }},
		{"custody.reshare_rate", func(c *Config) { c.Custody.ReshareRate = -1 }},
		{"custody.reshare_rate", func(c *Config) { c.Custody.ReshareRate = MinReshareRate - 1 }},
		{"vault.scrub_every", func(c *Config) { c.Vault.ScrubEvery.Duration = -1 }},
		{"record.reserve", func(c *Config) { c.Record.Reserve = -1 }},
		{"record.fold", func(c *Config) { c.Record.Fold.Duration = -1 }},
		{"record.fold", func(c *Config) { c.Record.Fold.Duration = 2 * time.Second }},
		{"ledger.state_sync.servers", func(c *Config) { synced(c).Servers = []string{"http://a:1"} }},
		{"ledger.state_sync.servers", func(c *Config) { synced(c).Servers[1] = "a:1" }},
		{"ledger.state_sync.trust_height", func(c *Config) { synced(c).TrustHeight = 0 }},
		{"ledger.state_sync.trust_hash", func(c *Config) { synced(c).TrustHash = "00" }},
		{"ledger.state_sync.trust_hash", func(c *Config) { synced(c).TrustHash = strings.Repeat("zz", 32) }},
	} {
		c := valid(t)
		x.make(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "config: "+x.key+": ") {
			t.Errorf("got %v, want a refusal of %s", err, x.key)
		}
		if err := c.Save(); err == nil {
			t.Errorf("%s: an invalid configuration was saved", x.key)
		}
		if _, err := os.Stat(filepath.Join(c.Home, FileName)); err == nil {
			t.Errorf("%s: a refused configuration left a file", x.key)
		}
	}
	if err := valid(t).Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestLoadRefusesWhatIsNotAConfiguration(t *testing.T) {
	head := "member = \"" + tx.Account{1}.String() + "\"\nname = \"x\"\n"
	for name, x := range map[string]struct{ text, want string }{
		"no TOML":                   {"member = ", "config: toml"},
		"not UTF-8":                 {"\xc3\x28 = 1", "config: toml"},
		"an unknown key":            {head + "colour = 1\n", `config: unknown key "colour"`},
		"a misspelt security key":   {head + "[custody]\ncompact_evry = \"1h\"\n", `config: unknown key "custody.compact_evry"`},
		"an unknown table":          {head + "[ledgr]\nlisten = \"a:1\"\n", `config: unknown key "ledgr`},
		"a key twice":               {head + "name = \"y\"\n", "config: toml"},
		"a number for a text":       {"name = 1\n", "config: "},
		"a duration without a unit": {head + "[ledger]\nheartbeat = \"5\"\n", "config: "},
		"no account":                {"name = \"x\"\n", "config: member"},
		"an account that is none":   {"member = \"nobody\"\nname = \"x\"\n", "config: "},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(dir)
		if err == nil || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", name, err, x.want)
		}
		if c != nil {
			t.Errorf("%s: got a configuration with an error", name)
		}
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, ErrNoHome) {
		t.Errorf("got %v, want ErrNoHome", err)
	}
}

func TestMakeDirsHidesEverythingFromOthers(t *testing.T) {
	c := valid(t)
	c.Home = filepath.Join(c.Home, "home")
	if err := c.MakeDirs(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{c.Home, c.KeyDir(), c.Data("ledger"), c.Data("comet"), c.Data("custody"), c.Data("vault"), c.Data("record")} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got mode %v, want 0700", d, info.Mode().Perm())
		}
	}
}

// FuzzParse: what is accepted is valid, and says the same after it was written.
func FuzzParse(f *testing.F) {
	c := valid(f)
	b, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("member = \"" + c.Member.String() + "\"\nname = \"x\"\n[ledger]\nheartbeat = \"1s\"\npeers = []\n"))
	f.Add([]byte("[ledger.state_sync]\nenable = true\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse("home", b)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted what Validate refuses: %v", err)
		}
		once, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse("home", once)
		if err != nil {
			t.Fatalf("what was written does not parse: %v\n%s", err, once)
		}
		twice, err := again.encode()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(once), string(twice)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestReferenceSaysEveryKey keeps docs/reference/config.toml equal to the struct: its keys,
// their documentation and their defaults.
func TestReferenceSaysEveryKey(t *testing.T) {
	file := filepath.Join("..", "docs", "reference", "config.toml")
	want := reference(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("go test ./config -update writes it anew:\n%s", d)
	}
	c, err := parse("home", got)
	if err != nil {
		t.Fatalf("the reference does not load: %v", err)
	}
	def := Default("home")
	def.Member, def.Name = c.Member, c.Name
	if d := cmp.Diff(def, c, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the reference does not say the defaults: %s", d)
	}
}

// reference writes the default configuration with the comments of the struct's fields.
func reference(t *testing.T) string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{} // "Config.Member"
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		readComments(f, comments)
	}
	c := Default("")
	c.Member, c.Name = tx.Account{}, "clinic"
	c.Member[15] = 1
	var out strings.Builder
	out.WriteString("# Every key of a node's config.toml with its default. Made from package config: do not edit.\n# Unknown keys are errors. Keys and tokens are in files of their own.\n\n")
	writeTable(t, &out, "", reflect.ValueOf(*c), comments)
	return out.String()
}

// readComments takes the comments of a file's struct fields.
func readComments(f *ast.File, comments map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		ts, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if st, ok := ts.Type.(*ast.StructType); ok {
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					comments[ts.Name.Name+"."+name.Name] = field.Doc.Text()
				}
			}
		}
		return true
	})
}

func writeTable(t *testing.T, out *strings.Builder, table string, v reflect.Value, comments map[string]string) {
	typ := v.Type()
	var tables []int
	for i := range typ.NumField() {
		field := typ.Field(i)
		key := field.Tag.Get("toml")
		if key == "-" {
			continue
		}
		if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[Duration]() {
			tables = append(tables, i)
			continue
		}
		if field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
			tables = append(tables, i)
			continue
		}
		doc := strings.TrimSpace(comments[typ.Name()+"."+field.Name])
		if doc == "" {
			t.Errorf("%s.%s has no documentation", typ.Name(), field.Name)
		}
		// Go names the field at the start of its comment; the file names the key.
		if rest, ok := strings.CutPrefix(doc, field.Name+" "); ok {
			doc = key + " " + rest
		}
		for line := range strings.Lines(doc + "\n") {
			out.WriteString("# " + line)
		}
		out.WriteString(key + " = " + tomlValue(t, v.Field(i)) + "\n\n")
	}
	for _, i := range tables {
		name := strings.TrimPrefix(table+"."+typ.Field(i).Tag.Get("toml"), ".")
		if elem := typ.Field(i).Type; elem.Kind() == reflect.Slice { // there is none by default: it is shown as a comment
			var block strings.Builder
			writeTable(t, &block, name, reflect.New(elem.Elem()).Elem(), comments)
			out.WriteString("# One block for each " + name + ".\n#\n# [[" + name + "]]\n#\n")
			for line := range strings.Lines(strings.TrimSpace(block.String()) + "\n") {
				out.WriteString(strings.TrimSpace("# "+line) + "\n")
			}
			out.WriteString("\n")
			continue
		}
		out.WriteString("[" + name + "]\n\n")
		writeTable(t, out, name, v.Field(i), comments)
	}
}

func tomlValue(t *testing.T, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []string:
		var quoted []string
		for _, s := range x {
			quoted = append(quoted, `"`+s+`"`)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		return `"` + x + `"`
	case Duration:
		return `"` + x.String() + `"`
	case tx.Account:
		return `"` + x.String() + `"`
	case map[string]string:
		return "{}"
	case bool:
		return map[bool]string{true: "true", false: "false"}[x]
	case int64:
		return strconv.FormatInt(x, 10)
	default:
		t.Fatalf("a type without a TOML form here: %T", x)
		return ""
	}
}
