import Bytes
import NIOCore
import Secrets

/// Tokens for client credentials (RFC 6749, sections 2.3.1, 4.4 and 5), as Go's golang.org/x/oauth2 fetches them: one is
/// used until ten seconds before its end, and those who need another one wait for one request.
extension HTTPAccess {
  struct Token {
    /// The value of the header `Authorization`.
    let authorization: Secret
    let end: NIODeadline
  }

  struct TokenState {
    var token: Token?
    fileprivate var isFetching = false
    /// Called when the token is there, or with why there is none; on any event loop.
    fileprivate var waiters: [@Sendable (HTTPAccessError?) -> Void] = []
    /// The last fetch failed: until then nobody tries again.
    fileprivate var failure: (fault: HTTPAccessError, until: NIODeadline)?
    /// The server wants the secret in the form, not in a header.
    fileprivate var sendsSecretInForm = false

    /// Why there is no good token; nil when there is one.
    var lack: Readiness? {
      let now = NIODeadline.now()
      if let token, now < token.end { return nil }
      if let failure, now < failure.until { return .fault(failure.fault) }
      return .needsToken
    }
  }

  private static let margin = TimeAmount.seconds(10)
  private static let pause = TimeAmount.seconds(5)
  private static let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 1 << 20, redirects: 0)

  /// Calls `waiter` once, when there is a token or why there is none, on any event loop. To be called on that of `pool`.
  func fetchToken(_ pool: ConnectionPool, _ waiter: @escaping @Sendable (HTTPAccessError?) -> Void) {
    guard case .oauth2(let oauth2) = options.credentials else { return waiter(nil) }
    let request = state.withLock { state -> HTTPRequest? in
      state.tokens.waiters.append(waiter)
      guard !state.tokens.isFetching else { return nil }
      state.tokens.isFetching = true
      return self.request(oauth2, state)
    }
    if let request { ask(request, oauth2, pool, mayAskAgain: true) }
  }

  private func ask(
    _ request: HTTPRequest, _ oauth2: HTTPClientOptions.OAuth2, _ pool: ConnectionPool, mayAskAgain: Bool
  ) {
    HTTPCall(PreparedRequest(request), Self.limits, pool).start { outcome in
      switch outcome {
      case .failure(let error): self.conclude(.failure(Self.fault(oauth2, error.reason)))
      case .success(let response):
        // Servers differ in where they take the secret from; the first answer tells.
        if [400, 401].contains(response.status), mayAskAgain {
          let other = self.state.withLock { state in
            state.tokens.sendsSecretInForm.toggle()
            return self.request(oauth2, state)
          }
          self.ask(other, oauth2, pool, mayAskAgain: false)
        } else {
          self.conclude(Self.token(in: response, oauth2))
        }
      }
    }
  }

  private func conclude(_ outcome: Result<Token, HTTPAccessError>) {
    let waiters = state.withLock { state in
      state.tokens.isFetching = false
      switch outcome {
      case .success(let token):
        state.tokens.token = token
        state.tokens.failure = nil
        state.writeLines()
      case .failure(let fault): state.tokens.failure = (fault, .now() + Self.pause)
      }
      defer { state.tokens.waiters = [] }
      return state.tokens.waiters
    }
    var fault: HTTPAccessError?
    if case .failure(let error) = outcome { fault = error }
    for waiter in waiters { waiter(fault) }
  }

  private static func fault(_ oauth2: HTTPClientOptions.OAuth2, _ reason: String) -> HTTPAccessError {
    HTTPAccessError("oauth2: cannot fetch token from \(oauth2.tokenURL): \(reason)")
  }

  // MARK: The request

  private func request(_ oauth2: HTTPClientOptions.OAuth2, _ state: borrowing State) -> HTTPRequest {
    let secret = state.clientSecret?.value ?? ""
    var form = [("grant_type", "client_credentials")]
    if !oauth2.scopes.isEmpty { form.append(("scope", oauth2.scopes.joined(separator: " "))) }
    form += oauth2.endpointParameters.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    var headers = [(name: "Content-Type", value: "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    if state.tokens.sendsSecretInForm {
      form += [("client_id", oauth2.clientID), ("client_secret", secret)]
    } else {
      let pair = "\(oauth2.clientID.utf8.formEncoded):\(secret.utf8.formEncoded)"
      headers.append(("Authorization", "Basic \(base64(pair.utf8))"))
    }
    let body = form.map { "\($0.0.utf8.formEncoded)=\($0.1.utf8.formEncoded)" }.joined(separator: "&")
    return HTTPRequest(
      method: "POST", url: oauth2.tokenURL, headers: headers, body: ByteBuffer(string: body),
      access: tokenAccess)
  }

  // MARK: The answer

  private static func token(
    in response: HTTPResponse, _ oauth2: HTTPClientOptions.OAuth2
  ) -> Result<Token, HTTPAccessError> {
    let answer = try? JSONValue(parsing: response.body.readableBytesSpan)
    guard response.status == 200 else {
      return .failure(fault(oauth2, "server answered HTTP status \(response.status)\(errorCode(answer))"))
    }
    guard let answer else { return .failure(fault(oauth2, "server answered what is not JSON")) }
    guard case .string(let token)? = answer["access_token"], !token.isEmpty else {
      return .failure(fault(oauth2, "server response missing access_token\(errorCode(answer))"))
    }
    var type = "Bearer"
    if case .string(let said)? = answer["token_type"], !said.isEmpty, said.lowercased() != "bearer" { type = said }
    let authorization = "\(type) \(token)"
    guard authorization.utf8.span.bytes.isFieldValue else {
      return .failure(fault(oauth2, "server's token is not fit for a header"))
    }
    return .success(Token(authorization: Secret(authorization), end: end(answer["expires_in"])))
  }

  /// What the server calls its reason (RFC 6749, section 5.2), if it is a word.
  private static func errorCode(_ answer: JSONValue?) -> String {
    guard case .string(let code)? = answer?["error"], 1...64 ~= code.utf8.count,
      code.utf8.allSatisfy({ $0.isLetter || $0 == UInt8(ascii: "_") })
    else { return "" }
    return " (\(code))"
  }

  /// A token without a lifetime is good for ever.
  private static func end(_ lifetime: JSONValue?) -> NIODeadline {
    let seconds: Double? =
      switch lifetime {
      case .number(let seconds): seconds
      case .string(let text): Double(text)
      default: nil
      }
    guard let seconds, seconds > 0, seconds < 365 * 86_400 else { return .distantFuture }
    // A short one serves at least the requests that wait for it.
    return .now() + max(.milliseconds(Int64(seconds * 1000)) - margin, .seconds(1))
  }
}
