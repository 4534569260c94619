import ModelCore

/// The functions of NVIDIA's driver library that are asked here.
package struct CUDADriver: Sendable {
  typealias Status = Int32
  typealias NumberFunction = @Sendable @convention(c) (UnsafeMutablePointer<Int32>) -> Status
  typealias TextFunction = @Sendable @convention(c) (UnsafeMutablePointer<CChar>, Int32, Int32) -> Status
  typealias ErrorFunction = @Sendable @convention(c) (Status, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Status

  private let initialize: @Sendable @convention(c) (UInt32) -> Status
  private let getVersion, getCount: NumberFunction
  private let getDevice: @Sendable @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Status
  private let getName, getPCIBusID: TextFunction
  private let getMemory: @Sendable @convention(c) (UnsafeMutablePointer<Int>, Int32) -> Status
  private let getUUID: @Sendable @convention(c) (UnsafeMutableRawPointer, Int32) -> Status
  private let getAttribute: @Sendable @convention(c) (UnsafeMutablePointer<Int32>, Int32, Int32) -> Status
  private let getErrorName, getErrorText: ErrorFunction
  private let getContext: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Status
  private let synchronizeContext: @Sendable @convention(c) () -> Status

  package static let libraryName = "libcuda.so.1"

  /// Loads the driver without initialising it.
  /// - Throws: `ModelError` when it is not installed or lacks a function.
  package init(library name: String = libraryName) throws { try self.init(DynamicLibrary(name)) }

  init(_ library: DynamicLibrary) throws {
    initialize = try library.function("cuInit")
    getVersion = try library.function("cuDriverGetVersion")
    getCount = try library.function("cuDeviceGetCount")
    getDevice = try library.function("cuDeviceGet")
    getName = try library.function("cuDeviceGetName")
    getPCIBusID = try library.function("cuDeviceGetPCIBusId")
    getMemory = try library.function("cuDeviceTotalMem_v2")
    getUUID = try library.function("cuDeviceGetUuid_v2", "cuDeviceGetUuid")
    getAttribute = try library.function("cuDeviceGetAttribute")
    getErrorName = try library.function("cuGetErrorName")
    getErrorText = try library.function("cuGetErrorString")
    getContext = try library.function("cuCtxGetCurrent")
    synchronizeContext = try library.function("cuCtxSynchronize")
  }

  private static let (noDevice, notInitialized): (Status, Status) = (100, 3)

  /// How many devices the driver offers, nil before it is initialised.
  var countIfInitialized: Int? {
    var count: Int32 = 0
    return getCount(&count) == 0 ? Int(count) : nil
  }

  /// Initialises the driver, which reads CUDA_VISIBLE_DEVICES now and never again.
  /// - Returns: how many devices it offers.
  /// - Throws: `ModelError` when it fails; that there is no device is none.
  func initialized() throws -> Int {
    let status = initialize(0)
    if status == Self.noDevice { return 0 }
    guard status == 0 else { throw failure(status) }
    var count: Int32 = 0
    let counted = getCount(&count)
    guard counted == 0 || counted == Self.noDevice else { throw failure(counted) }
    return max(0, Int(count))
  }

  /// The newest CUDA that the driver speaks, such as 12.4.
  var version: String? {
    var number: Int32 = 0
    guard getVersion(&number) == 0, number > 0 else { return nil }
    return "\(number / 1000).\(number % 1000 / 10)"
  }

  /// What the driver says of its device `ordinal`, which it calls `index`.
  func device(_ ordinal: Int, index: String) throws -> Device {
    var handle: Int32 = 0
    var memory = 0
    try check(getDevice(&handle, Int32(clamping: ordinal)))
    try check(getMemory(&memory, handle))
    let device = handle
    guard let name = textOfBuffer(256, { getName($0, 255, device) == 0 }) else {
      throw ModelError(.system, "the CUDA driver does not tell the name of device \(ordinal)")
    }
    var uuid: String?
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { bytes in
      bytes.initialize(repeating: 0)
      if let start = bytes.baseAddress, getUUID(start, device) == 0 { uuid = Self.text(ofUUID: Array(bytes)) }
    }
    let (major, minor) = (attribute(75, of: device), attribute(76, of: device))
    return Device(
      index: index, ordinal: ordinal, name: name, totalMemory: memory, uuid: uuid,
      pciBusID: textOfBuffer(32) { getPCIBusID($0, 31, device) == 0 },
      computeCapability: major.flatMap { major in minor.map { "\(major).\($0)" } },
      multiprocessors: attribute(16, of: device))
  }

  private func attribute(_ number: Int32, of device: Int32) -> Int? {
    var value: Int32 = 0
    return getAttribute(&value, number, device) == 0 ? Int(value) : nil
  }

  /// Waits until all work of the calling thread's context is done; returns at once where it has none.
  func synchronize() throws {
    var context: UnsafeMutableRawPointer?
    let status = getContext(&context)
    if status == Self.notInitialized || (status == 0 && context == nil) { return }
    try check(status)
    try check(synchronizeContext())
  }

  private func check(_ status: Status) throws {
    if status != 0 { throw failure(status) }
  }

  /// `the CUDA driver fails: CUDA_ERROR_UNKNOWN (999): unknown error`.
  private func failure(_ status: Status) -> ModelError {
    func text(_ function: ErrorFunction) -> String? {
      var text: UnsafePointer<CChar>?
      guard function(status, &text) == 0, let text else { return nil }
      return String(cString: text)
    }
    let name = text(getErrorName).map { "\($0) (\(status))" } ?? "error \(status)"
    return ModelError(.system, "the CUDA driver fails: \(name)" + (text(getErrorText).map { ": \($0)" } ?? ""))
  }

  /// `12345678-1234-…`, without what stands before it in NVIDIA's tools (`GPU-`, `MIG-`).
  static func text(ofUUID bytes: [UInt8]) -> String {
    var text = ""
    for (place, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(place) { text += "-" }
      text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    return text
  }
}
