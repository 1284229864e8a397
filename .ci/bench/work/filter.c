// A header filter in C, as bench's guest in Go is one.
#define IMPORT(name) __attribute__((import_module("http_handler"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("enable_features") unsigned enable_features(unsigned features);
IMPORT("set_header_value")
void set_header_value(unsigned kind, const char *name, unsigned nameSize, const char *value, unsigned valueSize);

EXPORT("handle_request") unsigned long long handle_request(void) {
  enable_features(2); // it changes the answer
  return 1;           // and lets the call go on
}

EXPORT("handle_response") void handle_response(unsigned context, unsigned failed) {
  if (!failed) set_header_value(1, "X-Bench", 7, "1", 1);
}
