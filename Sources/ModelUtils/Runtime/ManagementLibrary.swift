import ModelCore

/// NVML, the driver's management library: memory in use without a context. It knows nothing of CUDA_VISIBLE_DEVICES and
/// counts by PCI bus, so that a device is found by its UUID alone.
package struct ManagementLibrary: Sendable {
  typealias Status = Int32
  typealias Handle = UnsafeMutableRawPointer

  private let initialize, shutDown: @Sendable @convention(c) () -> Status
  private let getDriverVersion: @Sendable @convention(c) (UnsafeMutablePointer<CChar>, UInt32) -> Status
  private let getHandle: @Sendable @convention(c) (UnsafePointer<CChar>, UnsafeMutablePointer<Handle?>) -> Status
  private let getMemory: @Sendable @convention(c) (Handle, UnsafeMutablePointer<UInt64>) -> Status

  package static let libraryName = "libnvidia-ml.so.1"

  /// - Throws: `ModelError` when it is not installed or lacks a function.
  package init(library name: String = libraryName) throws {
    let library = try DynamicLibrary(name)
    initialize = try library.function("nvmlInit_v2")
    shutDown = try library.function("nvmlShutdown")
    getDriverVersion = try library.function("nvmlSystemGetDriverVersion")
    getHandle = try library.function("nvmlDeviceGetHandleByUUID")
    getMemory = try library.function("nvmlDeviceGetMemoryInfo")
  }

  /// Adds the memory that is free to the devices; leaves them as they are where the library fails.
  /// - Returns: the driver's version, such as 550.54.15.
  func complete(_ devices: inout [Device]) -> String? {
    guard initialize() == 0 else { return nil }
    defer { _ = shutDown() }
    for index in devices.indices {
      guard let uuid = devices[index].uuid, let handle = handle(uuid) else { continue }
      // Total, free and used bytes.
      var memory: [UInt64] = [0, 0, 0]
      if getMemory(handle, &memory) == 0 { devices[index].freeMemory = Int(clamping: memory[1]) }
    }
    return textOfBuffer(96) { getDriverVersion($0, 95) == 0 }
  }

  private func handle(_ uuid: String) -> Handle? {
    for kind in ["GPU", "MIG"] {
      var handle: Handle?
      if getHandle("\(kind)-\(uuid)", &handle) == 0, let handle { return handle }
    }
    return nil
  }
}
