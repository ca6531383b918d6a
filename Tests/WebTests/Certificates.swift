/// A certificate of localhost with its key, made with openssl for these tests; it ends in the year 2126.
let certificate = """
  -----BEGIN CERTIFICATE-----
  MIIBmzCCAUGgAwIBAgIUR1CGIW0Lltm2okwkeANrUadej+YwCgYIKoZIzj0EAwIw
  FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTEwMzEwNFoYDzIxMjYxMDI4
  MTAzMTA0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
  PQMBBwNCAARfeN8s7dJR3dirAb3Q80vQD0dC8VgqMhbr8otOqbM/s1Bl/eP7KauL
  Q/IGIcfHnNifhwbJmxo2wFbEGYms/nDmo28wbTAdBgNVHQ4EFgQUYDm4VXyh97Z1
  lMBN5l9f5UD73LwwHwYDVR0jBBgwFoAUYDm4VXyh97Z1lMBN5l9f5UD73LwwDwYD
  VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
  zj0EAwIDSAAwRQIgUXSW7XU5hDCrimGfFPi7OAnIzbUti8uB/LUtzA6wbJQCIQDM
  qRDg74nwSLJoe8sM4VqmAI2aP+6V6lQzPPXl69frdQ==
  -----END CERTIFICATE-----
  """

let privateKey = """
  -----BEGIN PRIVATE KEY-----
  MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXWmcy3/z7DHtcZuL
  CJv+W62bYuBuLysn1P4eyh+nnXahRANCAARfeN8s7dJR3dirAb3Q80vQD0dC8Vgq
  Mhbr8otOqbM/s1Bl/eP7KauLQ/IGIcfHnNifhwbJmxo2wFbEGYms/nDm
  -----END PRIVATE KEY-----
  """

/// The key of another certificate.
let otherKey = """
  -----BEGIN PRIVATE KEY-----
  MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmgCu2M2X7KwbaZJb
  nDQ7O0f5lKmpcg1QXBkvY5bbPzShRANCAAR9WGYc5sx8epqHJpqLC5Tzb/j+MK14
  r1q2C/bPSuvY4pKGYH4eBXpcM7Ai/UEzbS4YaA/DvZC4FePsJ9VGSTWL
  -----END PRIVATE KEY-----
  """
