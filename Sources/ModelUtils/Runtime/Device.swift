/// A CUDA device, as the driver describes it.
public struct Device: Sendable, Hashable, Codable {
  /// What it was asked for by: `0`, or `GPU-…`.
  public let index: String
  /// Its number among the devices that this process sees, from 0.
  public let ordinal: Int
  /// The driver's name of the model, such as `NVIDIA H100`.
  public let name: String
  /// In bytes.
  public let totalMemory: Int
  /// In bytes, by all processes' account; nil where NVML is not there to tell.
  public internal(set) var freeMemory: Int?
  /// As `12345678-1234-…`, without a prefix.
  public let uuid: String?
  /// `0000:01:00.0`.
  public let pciBusID: String?
  /// `9.0`.
  public let computeCapability: String?
  /// How many streaming multiprocessors it has.
  public let multiprocessors: Int?

  init(
    index: String, ordinal: Int, name: String, totalMemory: Int, uuid: String?, pciBusID: String?,
    computeCapability: String?, multiprocessors: Int?
  ) {
    self.index = index
    self.ordinal = ordinal
    self.name = name
    self.totalMemory = totalMemory
    self.uuid = uuid
    self.pciBusID = pciBusID
    self.computeCapability = computeCapability
    self.multiprocessors = multiprocessors
  }
}

extension Device: CustomStringConvertible {
  /// `CUDA:0 (NAME, 16280MB)`: mebibytes, rounded half to even.
  public var description: String {
    let mebibytes = (Double(totalMemory) / 1_048_576).rounded(.toNearestOrEven)
    return "CUDA:\(index) (\(name), \(Int(mebibytes))MB)"
  }
}
