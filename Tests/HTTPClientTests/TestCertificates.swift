/// Certificates made with openssl for these tests; but for the expired one they end in the year 2126.
enum TestCertificates {
  /// A certificate and its key, in PEM.
  struct Pair: Sendable {
    let certificate: String
    let key: String
  }

  /// It signed all but `stranger`.
  static let authority = """
    -----BEGIN CERTIFICATE-----
    MIIBjDCCATGgAwIBAgIUNcKIsd2vB5uS9mR11FtFFErnrPUwCgYIKoZIzj0EAwIw
    EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzAxMjBaGA8yMTI2MTAyODE3
    MDEyMFowEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
    A0IABP1x58DSGDcul9HGlhpPhG7mlWv+HtbAnI8GPpdHtNJ6dnb4MtSnnAeCdQBe
    dkrqK5Vo9bEEBGMAel/LsZvKu62jYzBhMB0GA1UdDgQWBBRJ35AwVtTIptjcXXjt
    90igEyYbfDAfBgNVHSMEGDAWgBRJ35AwVtTIptjcXXjt90igEyYbfDAPBgNVHRMB
    Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNJADBGAiEA8mNQ
    sjmoeZZX7RO8mhyN6Zi6xtFkjFgl/EwRQBzHXBwCIQC1BTAr9wxWgHDECKQufBNL
    lSXqjd1biwdaYRGV4OZH9w==
    -----END CERTIFICATE-----
    """

  static let otherAuthority = """
    -----BEGIN CERTIFICATE-----
    MIIBjTCCATOgAwIBAgIUdRvjHU1kAqQT0KqUh8KijWGZ7hkwCgYIKoZIzj0EAwIw
    EzERMA8GA1UEAwwIT3RoZXIgQ0EwIBcNMjYxMTIxMTcwMTIwWhgPMjEyNjEwMjgx
    NzAxMjBaMBMxETAPBgNVBAMMCE90aGVyIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0D
    AQcDQgAEGhnBJpCDju9v35Rzbd8VFSU2L+ouGR38L+IBpkd3PurUx42wxCPR9Tde
    bYyIvAz9indKOWc++NjIywoeKkGm86NjMGEwHQYDVR0OBBYEFLlS1K0pHTbztABG
    DoVglTpoQEZdMB8GA1UdIwQYMBaAFLlS1K0pHTbztABGDoVglTpoQEZdMA8GA1Ud
    EwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIElE
    00mdr4dMs9OLVyq6pr9x7LHPwtBCSQELgE1msrFsAiEAlxHwXfSDOxar28/QDSuq
    FoGydbgcbNxsUkzm0rY8LA8=
    -----END CERTIFICATE-----
    """

  /// Of localhost, 127.0.0.1 and *.pilotfish.test.
  static let server = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBpDCCAUugAwIBAgIUGs5AHZs5//MqG17LsgqC1qmluCIwCgYIKoZIzj0EAwIw
      EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzAxMjFaGA8yMTI2MTAyODE3
      MDEyMVowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
      AQcDQgAEBR7lrsH03mmaITK7u1yCzX1InAJDa2DZT1qGpOWA5w4Q9DiwGjexjhHB
      IDy59R9YI9xDsL2jgYnpiswFyYrJ0KN7MHkwCQYDVR0TBAIwADAsBgNVHREEJTAj
      gglsb2NhbGhvc3SHBH8AAAGCECoucGlsb3RmaXNoLnRlc3QwHQYDVR0OBBYEFBnY
      rW4sHccQZHHxmVCQLwMwYTN9MB8GA1UdIwQYMBaAFEnfkDBW1Mim2NxdeO33SKAT
      Jht8MAoGCCqGSM49BAMCA0cAMEQCIB9FUn23KCnNXl1TOL0stn7vnIYc8UTJiPw8
      xgz0YYSDAiBbWA1+YtNavzuuIb+yLDzIJPjkYb032w80E/CbTCFsgQ==
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaH45zCbMeKdEF0vl
      FoEjYcF86UZ9dv6/rG5HGN4nmh+hRANCAAQFHuWuwfTeaZohMru7XILNfUicAkNr
      YNlPWoak5YDnDhD0OLAaN7GOEcEgPLn1H1gj3EOwvaOBiemKzAXJisnQ
      -----END PRIVATE KEY-----
      """)

  /// Of other.test.
  static let wrong = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBjjCCATWgAwIBAgIUGs5AHZs5//MqG17LsgqC1qmluCMwCgYIKoZIzj0EAwIw
      EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzAxMjFaGA8yMTI2MTAyODE3
      MDEyMVowFTETMBEGA1UEAwwKb3RoZXIudGVzdDBZMBMGByqGSM49AgEGCCqGSM49
      AwEHA0IABOQN7Caguv7zeA+wcbvOEuK5PtDhpTHeRSPTKIHD4af06APb/xAX1+3n
      L2zi/uD45BoGxMVBW/5wdUTat385QgGjZDBiMAkGA1UdEwQCMAAwFQYDVR0RBA4w
      DIIKb3RoZXIudGVzdDAdBgNVHQ4EFgQUX4pvpGsWoB/3hp+95SALKvjf0LwwHwYD
      VR0jBBgwFoAUSd+QMFbUyKbY3F147fdIoBMmG3wwCgYIKoZIzj0EAwIDRwAwRAIg
      Gr0Fk/vqnizFb7yyphkkRGyJ6mmG5KZIbQTmyV7pEVYCIH8OoJ869ZbuuSnSZpsI
      NGkwwWhKx8H7ULamBeO9IRm6
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg80MNum7uaSHmmCZ+
      1fkt4nCxnN5TTMlRq0ozqvNlHCmhRANCAATkDewmoLr+83gPsHG7zhLiuT7Q4aUx
      3kUj0yiBw+Gn9OgD2/8QF9ft5y9s4v7g+OQaBsTFQVv+cHVE2rd/OUIB
      -----END PRIVATE KEY-----
      """)

  /// Of localhost by its common name only.
  static let legacy = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBdjCCAR2gAwIBAgIUGs5AHZs5//MqG17LsgqC1qmluCQwCgYIKoZIzj0EAwIw
      EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzAxMjFaGA8yMTI2MTAyODE3
      MDEyMVowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
      AQcDQgAEFt8ViF+it1BA2KrB1MrdySMuilsKc4MiYnVDhojWJQ57s2YvQ82SILgj
      heI9yRhqPvjfEsJFm21JPL2iJl1+YaNNMEswCQYDVR0TBAIwADAdBgNVHQ4EFgQU
      WbE3HTdKbyt77u5Exu48l4ZQJ8EwHwYDVR0jBBgwFoAUSd+QMFbUyKbY3F147fdI
      oBMmG3wwCgYIKoZIzj0EAwIDRwAwRAIgeAo7eDtbZqE+i+Du4vK7HxTODkA4LdqA
      vobgNg11pQwCIGvBzpfJQA8cjO8NDbMfsN6oWDd9bliudQsNiNF5Xewy
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglQQRX0YV1bouMsI/
      GnpDHFedeZnyrd/bQWxnAgXQ5d6hRANCAAQW3xWIX6K3UEDYqsHUyt3JIy6KWwpz
      gyJidUOGiNYlDnuzZi9DzZIguCOF4j3JGGo++N8SwkWbbUk8vaImXX5h
      -----END PRIVATE KEY-----
      """)

  /// Of a client.
  static let client = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBhzCCAS2gAwIBAgIUGs5AHZs5//MqG17LsgqC1qmluCUwCgYIKoZIzj0EAwIw
      EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzAxMjFaGA8yMTI2MTAyODE3
      MDEyMVowETEPMA0GA1UEAwwGY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
      QgAEtLLghhGAf/xA7e7kNh9JTDuyd0xYhcjhIp7t0CVOi4qWxCegWQGV33hCjaeF
      BKhniK8EfU6Ka6Jg1Sxen/ARXaNgMF4wCQYDVR0TBAIwADARBgNVHREECjAIggZj
      bGllbnQwHQYDVR0OBBYEFDwHAZFeVh3HsroqbLcfxQBcrf4TMB8GA1UdIwQYMBaA
      FEnfkDBW1Mim2NxdeO33SKATJht8MAoGCCqGSM49BAMCA0gAMEUCIG56kmeW8eES
      qdSUnE6IAGr68Tk0XgCFea7LqML4e7jtAiEA7sCX7sRXuOnsYOQkqWzKuoXz7pef
      OSrMwtAEOsG1pvo=
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfxtVSTViD4wJfHQ6
      KYXx/UULwmBHHfVguNQC6Pn/jl+hRANCAAS0suCGEYB//EDt7uQ2H0lMO7J3TFiF
      yOEinu3QJU6LipbEJ6BZAZXfeEKNp4UEqGeIrwR9TopromDVLF6f8BFd
      -----END PRIVATE KEY-----
      """)

  /// Of localhost and 127.0.0.1, signed by `otherAuthority`.
  static let stranger = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBkzCCATmgAwIBAgIUDy/0tNOM0500jQwYE408cuXkaLcwCgYIKoZIzj0EAwIw
      EzERMA8GA1UEAwwIT3RoZXIgQ0EwIBcNMjYxMTIxMTcwMTIxWhgPMjEyNjEwMjgx
      NzAxMjFaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
      AQcDQgAEVDxMdNZfCDfvYegiqqW9EUOQiqlWJP2i95KaLq6SvBGprBiSRZrBfbTP
      6Hz617mlSMHVWGrdV3+gcndJDL1KsaNpMGcwCQYDVR0TBAIwADAaBgNVHREEEzAR
      gglsb2NhbGhvc3SHBH8AAAEwHQYDVR0OBBYEFPIEMwZDmmg59wKdKjhUQVcZJRea
      MB8GA1UdIwQYMBaAFLlS1K0pHTbztABGDoVglTpoQEZdMAoGCCqGSM49BAMCA0gA
      MEUCIQCFyWZipA+FJVVAH1CG1gH3+C0irbJuE5rev3jqWRBs3QIgT06T7wWr0NUq
      OyXypHbvuqO9/o/9dNBWxp6ez7YVmLk=
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmvhMnXWR2yksb1AZ
      4fK5Rn2S/CE3ZeygLhXsp9+esyShRANCAARUPEx01l8IN+9h6CKqpb0RQ5CKqVYk
      /aL3kpourpK8EamsGJJFmsF9tM/ofPrXuaVIwdVYat1Xf6Byd0kMvUqx
      -----END PRIVATE KEY-----
      """)

  /// Of localhost and 127.0.0.1, in the past.
  static let expired = Pair(
    certificate: """
      -----BEGIN CERTIFICATE-----
      MIIBkTCCATegAwIBAgIUGs5AHZs5//MqG17LsgqC1qmluCYwCgYIKoZIzj0EAwIw
      EjEQMA4GA1UEAwwHVGVzdCBDQTAeFw0yNjExMjExNzAxMzdaFw0yNjExMjAxNzAx
      MzdaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
      A0IABGAsfddM9DbZ4HSZ1CUW/Wx8cTWrOhK3KwvbyBGqnurOZ2HW8KIO2amJ7OA9
      zQxJFsOHv56DSJgVX8QPnATXQOOjaTBnMAkGA1UdEwQCMAAwGgYDVR0RBBMwEYIJ
      bG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBThXbL0Iz8MeAJYwYfE/EyHFiHELDAf
      BgNVHSMEGDAWgBRJ35AwVtTIptjcXXjt90igEyYbfDAKBggqhkjOPQQDAgNIADBF
      AiEAlDkWhTwUxporamHQ04h2B8pg2yFrT71BWppWLDUIPT4CICChUvLbJ5YU7pO9
      TJxbjW3J63VwUE7Kei24teVdW4nO
      -----END CERTIFICATE-----
      """,
    key: """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1ZFjZhQwRU0XY5tF
      Cs477NTVZQbEPHjtwEmk60colcOhRANCAARgLH3XTPQ22eB0mdQlFv1sfHE1qzoS
      tysL28gRqp7qzmdh1vCiDtmpiezgPc0MSRbDh7+eg0iYFV/ED5wE10Dj
      -----END PRIVATE KEY-----
      """)
}
