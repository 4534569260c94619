import ModelCore

/// What `selectDevice` chose.
public struct DeviceSelection: Sendable, Hashable, Codable {
  /// The devices to use, in the order asked for; none is the CPU.
  public let devices: [Device]
  /// Why it is the CPU although no one asked for it; nil otherwise.
  public let reason: String?
  /// The version of NVIDIA's driver, such as 550.54.15, and the newest CUDA that it speaks, such as 12.4; nil where
  /// nothing tells.
  public let driverVersion: String?
  /// The newest CUDA that the driver speaks, such as 12.4; nil where nothing tells.
  public let cudaVersion: String?

  /// `cuda:0` or `cpu`: what torch calls the device that it hands back.
  public var name: String { devices.first.map { "cuda:\($0.ordinal)" } ?? "cpu" }
}

extension DeviceSelection: CustomStringConvertible {
  /// `ModelUtils 0.1.0 CPU`, or `ModelUtils 0.1.0 CUDA:0 (NAME, 16280MB)` and a line for each further device, below the
  /// first.
  public var description: String {
    let head = "ModelUtils \(modelUtilsVersion) "
    guard !devices.isEmpty else { return head + "CPU" }
    return head + devices.map(\.description).joined(separator: "\n" + String(repeating: " ", count: head.count))
  }
}

/// Chooses the devices to compute on, as torch_utils' `select_device` does.
///
/// `cpu` sets CUDA_VISIBLE_DEVICES to -1 in this process's environment. Any other request but an empty one sets it to
/// the request, whose devices must then be there. An empty one takes the first device that is visible, alone, or else
/// the CPU.
///
/// The driver reads CUDA_VISIBLE_DEVICES once, when it is initialised, so choose before anything else uses CUDA in this
/// process. A later request is served from what the driver sees since then, or refused.
///
/// **Ours**: a device is counted as one whatever its number of digits, an error leaves CUDA_VISIBLE_DEVICES as it was,
/// and `mps` is refused.
/// - Parameters:
///   - request: as `DeviceRequest` reads it.
///   - batchSize: must be a multiple of the number of devices where there are several; nil, 0 and less are not checked.
/// - Throws: `ModelError` when a device is not there, the driver fails, or the batch cannot be divided.
public func selectDevice(_ request: String = "", batchSize: Int? = nil) throws -> DeviceSelection {
  try CUDARuntime.shared.select(DeviceRequest(request), batchSize: batchSize)
}
