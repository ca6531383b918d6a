import NIOSSL
import YAML

/// Certificates and keys in PEM.
package enum Certificates {
  /// - Parameter key: the name of the key that states the source, without `_file`.
  /// - Throws: when there is not one certificate.
  package static func chain(_ source: SecretSource, _ key: String) throws(TLSFault) -> [NIOSSLCertificate] {
    let bytes = try read(source, key)
    guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
      throw TLSFault("no usable certificate in \(source.name(key))")
    }
    return certificates
  }

  package static func privateKey(_ source: SecretSource, _ key: String) throws(TLSFault) -> NIOSSLPrivateKey {
    let bytes = try read(source, key)
    guard let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem) else {
      throw TLSFault("no usable private key in \(source.name(key))")
    }
    return key
  }

  private static func read(_ source: SecretSource, _ key: String) throws(TLSFault) -> [UInt8] {
    do throws(FileFault) {
      return try source.read()
    } catch {
      throw TLSFault("failed to read \(source.name(key)): \(error)")
    }
  }
}

/// Certificates or a key that cannot be used. Shows paths, never contents.
package struct TLSFault: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
