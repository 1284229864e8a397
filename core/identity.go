package core

import "time"

// URN prefixes of the identity entities.
const (
	OrgPrefix     = "urn:vcloud:org:"
	UserPrefix    = "urn:vcloud:user:"
	RolePrefix    = "urn:vcloud:role:"
	RightPrefix   = "urn:vcloud:right:"
	TokenPrefix   = "urn:vcloud:token:"
	SessionPrefix = "urn:vcloud:session:"
)

// Org is an organisation: a tenant, or System.
type Org struct {
	Meta
	ID, Name, DisplayName, Description string
	Enabled                            bool
}

// User is a member of an organisation.
type User struct {
	Meta
	ID, Name, FullName, Email, Description string
	OrgID                                  string
	RoleIDs                                []string
	Enabled                                bool
	Password                               string // a salted, memory-hard hash; empty: cannot log in by password
}

// Role is a set of rights.
type Role struct {
	Meta
	ID, Name, Description, BundleKey string
	OrgID                            string // empty: known to every organisation
	ReadOnly                         bool
	AllRights                        bool // the system administrator's
	RightIDs                         []string
}

// Right is a named permission. The name of a custom right starts with its
// service's namespace in braces.
type Right struct {
	Meta
	ID, Name, Description, BundleKey, Category, ServiceNamespace string

	ViewOnly bool // lets look at something and change nothing
}

// Custom reports whether a service registered the right.
func (r Right) Custom() bool { return r.ServiceNamespace != "" }

// TokenType tells what a stored token is for.
type TokenType string

// The types of stored tokens.
const (
	TokenExtension TokenType = "EXTENSION" // an external service's password on the messaging bus
	TokenRefresh   TokenType = "REFRESH"   // a user's API token
)

// Token is a long-lived credential. Its secret is shown once and never kept.
type Token struct {
	Meta
	ID, Name   string
	Type       TokenType
	System     string    // of an EXTENSION token: the service's id
	UserID     string    // of a REFRESH token: who it acts as
	SecretHash []byte    // SHA-256 of the secret
	Expires    time.Time // zero: never
}

// Session is one login.
type Session struct {
	Meta
	ID, UserID string
	Expires    time.Time
}

// SigningKey signs the gateway's tokens. Old keys verify until what they
// signed has expired.
type SigningKey struct {
	Meta
	ID      string    // the kid
	Private []byte    // PKCS #8
	Retired time.Time // zero: signs
}

// IssuerPrefix is the URN prefix of OpenID Connect issuers.
const IssuerPrefix = "urn:vcloud:oidcIssuer:"

// Issuer is an OpenID Connect provider whose tokens an organisation accepts
// as credentials of its users.
type Issuer struct {
	Meta
	ID, OrgID, Name string
	URL             string // the iss claim, and where discovery starts
	Audience        string // what the aud claim must hold
	UserClaim       string // names the user; empty: preferred_username, email, sub, the first there is
	RoleClaim       string // names roles; empty: none
	DefaultRoleIDs  []string
	AutoCreate      bool // make users that are seen for the first time
	Enabled         bool
	CA              string // PEM of the authority that signed its server certificate; empty: the machine's
}

// CertificatePrefix is the URN prefix of trusted certificates.
const CertificatePrefix = "urn:vcloud:trustedCertificate:"

// TrustedCertificate is a certificate that the gateway trusts when it calls
// an external endpoint: that of the endpoint's server, or of an authority.
type TrustedCertificate struct {
	Meta
	ID, Alias string
	PEM       string // one block of type CERTIFICATE
	NotAfter  time.Time
}
