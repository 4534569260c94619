import ModelCore

extension Checkpoint {
  /// The size of the picture at which YOLOv5 measures FLOPs: the largest of the strides that the model has as an
  /// attribute, and 32 at least.
  /// - Throws: `ModelError` for strides that cannot be read or are none.
  public func stride() throws -> Int {
    let smallest = 32
    guard case .module(let module) = preferred else { return smallest }
    let strides: [Double]
    if let tensor = module.attributes["stride"]?.tensorValue {
      strides = try tensor.doubles()
    } else if case .list(let items)? = module.attributes["stride"] {
      strides = items.compactMap(\.doubleValue)
    } else {
      return smallest
    }
    guard strides.allSatisfy({ (0...65536).contains($0) }) else {
      throw ModelError(.malformed, "the model's strides are no sizes: \(strides)", file: name)
    }
    return max(Int(strides.max() ?? 0), smallest)
  }
}
