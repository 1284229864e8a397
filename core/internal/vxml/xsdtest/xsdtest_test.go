package xsdtest_test

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core/internal/vxml/xsdtest"
)

const (
	head = ` xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
	link = `<Link rel="remove" href="https://h/x"/>`
)

func TestValidDocuments(t *testing.T) {
	for name, doc := range map[string]string{
		"a filter":            `<vmext:ApiFilter` + head + ` id="a" href="b" type="c">` + link + link + `<vmext:UrlPattern>/x</vmext:UrlPattern></vmext:ApiFilter>`,
		"the other choice":    `<vmext:ApiFilter` + head + `><vmext:ResponseContentType>text/plain</vmext:ResponseContentType></vmext:ApiFilter>`,
		"nothing of a choice": `<vmext:ApiFilter` + head + `/>`,
		"a named type":        `<vmext:AclRule` + head + ` name="x"><vmext:PrincipalAccess><vmext:Access>Entity</vmext:Access><vmext:Entity xsi:type="vcloud:ResourceReferenceType" href="h"/></vmext:PrincipalAccess></vmext:AclRule>`,
		"references":          `<vmext:RightRefs` + head + `>` + link + `<Right name="a"/><Right name="b"/></vmext:RightRefs>`,
		"a service":           `<vmext:Service` + head + ` name="x">` + link + `<Description>d</Description><vmext:Enabled>true</vmext:Enabled><vmext:Priority>7</vmext:Priority></vmext:Service>`,
		"records of any kind": `<QueryResultRecords` + head + ` total="1"><RightRecord name="a"/><ApiFilterRecord urlPattern="b"/><RightRecord name="c"/></QueryResultRecords>`,
	} {
		if err := xsdtest.Validate([]byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"no XML":                            {`<a`, "unexpected EOF"},
		"an unknown root":                   {`<Nothing` + head + `/>`, "no element"},
		"a root of the wrong namespace":     {`<ApiFilter` + head + `/>`, "no element"},
		"a child of the wrong namespace":    {`<vmext:ApiFilter` + head + `><UrlPattern>/x</UrlPattern></vmext:ApiFilter>`, "not expected"},
		"a link of the wrong namespace":     {`<vmext:ApiFilter` + head + `><vmext:Link rel="a" href="b"/></vmext:ApiFilter>`, "not expected"},
		"a link behind the fields":          {`<vmext:ApiFilter` + head + `><vmext:UrlPattern>/x</vmext:UrlPattern>` + link + `</vmext:ApiFilter>`, "not expected"},
		"both of a choice":                  {`<vmext:ApiFilter` + head + `><vmext:UrlPattern>/x</vmext:UrlPattern><vmext:ResponseContentType>a/b</vmext:ResponseContentType></vmext:ApiFilter>`, "not expected"},
		"the wrong order":                   {`<vmext:Service` + head + ` name="x"><vmext:Priority>7</vmext:Priority><vmext:Enabled>true</vmext:Enabled></vmext:Service>`, "Enabled is not expected"},
		"a description behind":              {`<vmext:Service` + head + ` name="x"><vmext:Enabled>true</vmext:Enabled><Description>d</Description></vmext:Service>`, "Description is not expected"},
		"a missing attribute":               {`<vmext:Service` + head + `/>`, "attribute name is missing"},
		"an unknown attribute":              {`<vmext:ApiFilter` + head + ` name="x"/>`, "name is not known"},
		"a boolean that is none":            {`<vmext:Service` + head + ` name="x"><vmext:Enabled>yes</vmext:Enabled></vmext:Service>`, "no boolean"},
		"a number that is too large":        {`<vmext:Service` + head + ` name="x"><vmext:Priority>101</vmext:Priority></vmext:Service>`, "maxInclusive"},
		"a text that is too long":           {`<vmext:ApiFilter` + head + `><vmext:UrlPattern>` + strings.Repeat("x", 1025) + `</vmext:UrlPattern></vmext:ApiFilter>`, "maxLength"},
		"a value that is not listed":        {`<vmext:ResourceClassAction` + head + ` name="x"><vmext:HttpMethod>PATCH</vmext:HttpMethod></vmext:ResourceClassAction>`, "none of the values"},
		"text between elements":             {`<vmext:ApiFilter` + head + `>x</vmext:ApiFilter>`, "between elements"},
		"an element in a text":              {`<vmext:ApiFilter` + head + `><vmext:UrlPattern><x/></vmext:UrlPattern></vmext:ApiFilter>`, "holds text"},
		"a child that must be there":        {`<vmext:AuthorizationCheckResponse` + head + `/>`, "IsAuthorized is missing"},
		"a type that nobody declared":       {`<vmext:AclRule` + head + ` name="x"><vmext:PrincipalAccess><vmext:Entity xsi:type="vcloud:NoType" href="h"/></vmext:PrincipalAccess></vmext:AclRule>`, "no type"},
		"an attribute that is no number":    {`<QueryResultRecords` + head + ` total="many"/>`, "@total"},
		"a second one of what is once only": {`<vmext:Service` + head + ` name="x"><vmext:Enabled>true</vmext:Enabled><vmext:Enabled>true</vmext:Enabled></vmext:Service>`, "not expected"},
	} {
		if err := xsdtest.Validate([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
