package archtest

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var (
	evidenceRow  = regexp.MustCompile(`^\| ([A-Z]-[0-9]{2})[ a-z]* \| (.+) \| (.+) \|$`)
	evidenceTest = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz|Benchmark)\\w+)`")
	evidenceFile = regexp.MustCompile("`([\\w/.-]+\\.(?:test\\.tsx?|mjs))`")
)

// Evidence checks a document whose tables say which tests show what a checklist asks: each row names tests that
// exist, as `package/path.TestName` or a file of the portal's, or says in words why there is none: "Not ...".
func Evidence(root fs.FS, file string) (wrong []string, rows int, err error) {
	b, err := fs.ReadFile(root, file)
	if err != nil {
		return nil, 0, err
	}
	declared := map[string]string{} // what the tests of a folder say, by folder
	for line := range strings.Lines(string(b)) {
		m := evidenceRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		rows++
		tests, files := evidenceTest.FindAllStringSubmatch(m[3], -1), evidenceFile.FindAllStringSubmatch(m[3], -1)
		if len(tests)+len(files) == 0 && !strings.HasPrefix(m[3], "Not ") {
			wrong = append(wrong, m[1]+" names no test and does not say why")
		}
		for _, t := range tests {
			if _, ok := declared[t[1]]; !ok {
				if declared[t[1]], err = testsOf(root, t[1]); err != nil {
					return nil, 0, err
				}
			}
			if !strings.Contains(declared[t[1]], "\nfunc "+t[2]+"(") {
				wrong = append(wrong, m[1]+" names "+t[1]+"."+t[2]+", which is not there")
			}
		}
		for _, f := range files {
			if _, err := fs.Stat(root, f[1]); err != nil {
				wrong = append(wrong, m[1]+" names "+f[1]+", which is not there")
			}
		}
	}
	return wrong, rows, nil
}

// testsOf is the text of all test files of a folder.
func testsOf(root fs.FS, dir string) (string, error) {
	names, err := fs.Glob(root, path.Join(dir, "*_test.go"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			return "", err
		}
		all.Write(b)
	}
	return all.String(), nil
}
