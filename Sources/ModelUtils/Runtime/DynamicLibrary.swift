import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A library that is loaded at run time, where it is installed; it stays loaded.
struct DynamicLibrary: @unchecked Sendable {
  let name: String
  private let handle: UnsafeMutableRawPointer

  /// - Throws: `ModelError` with the loader's reason.
  init(_ name: String) throws {
    guard let handle = dlopen(name, RTLD_NOW) else {
      throw ModelError(.missing, dlerror().map { String(cString: $0) } ?? "\(name): cannot be loaded")
    }
    self.name = name
    self.handle = handle
  }

  /// The library if something in this process has loaded it already.
  init?(loaded name: String) {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_NOLOAD) else { return nil }
    self.name = name
    self.handle = handle
  }

  /// A function of the library; of several names the first that it has.
  /// - Parameter type: its type, with `@convention(c)`.
  /// - Throws: `ModelError` when it has none.
  func function<Function>(_ names: String..., as type: Function.Type = Function.self) throws -> Function {
    precondition(MemoryLayout<Function>.size == MemoryLayout<UnsafeMutableRawPointer>.size)
    for name in names {
      if let address = dlsym(handle, name) { return unsafeBitCast(address, to: Function.self) }
    }
    throw ModelError(.missing, "\(name) has no function \(names[0])")
  }
}

/// The text that `body` writes into a C buffer; nil when it fails.
func textOfBuffer(_ capacity: Int, _ body: (UnsafeMutablePointer<CChar>) -> Bool) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
    buffer.initialize(repeating: 0)
    guard let start = buffer.baseAddress, body(start) else { return nil }
    let bytes = buffer.prefix { $0 != 0 }
    return String(decoding: bytes.lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
