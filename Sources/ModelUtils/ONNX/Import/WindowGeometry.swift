import ModelCore
import ModelGraph

/// How the windows of a convolution or pool slide over a picture of a certain size.
struct WindowGeometry {
  let kernel: [Int]
  let stride: [Int]
  let dilation: [Int]
  /// What is around the picture, by its edges or by `auto_pad`.
  let padding: [Margin]

  /// - Parameters:
  ///   - call: the node whose attributes say it.
  ///   - kernel: the window.
  ///   - sizes: the picture's axes.
  init(_ call: NodeCall, kernel: [Int], sizes: [Int]) throws {
    let rank = kernel.count
    func list(_ name: String, _ standard: Int) throws -> [Int] {
      let values = try call.ints(name) ?? []
      if values.isEmpty { return kernel.map { _ in standard } }
      guard values.count == rank, values.allSatisfy({ (1...1 << 31).contains($0) }) else {
        throw ModelError(.malformed, "its \(name) are \(values)")
      }
      return values
    }
    guard sizes.count == rank, rank > 0, kernel.allSatisfy({ (1...1 << 31).contains($0) }) else {
      throw ModelError(.mismatch, "slides a window \(kernel) over \(sizes)")
    }
    self.kernel = kernel
    let (stride, dilation) = (try list("strides", 1), try list("dilations", 1))
    (self.stride, self.dilation) = (stride, dilation)
    switch try call.text("auto_pad", "NOTSET") {
    case "NOTSET", "":
      let pads = try call.ints("pads") ?? []
      guard pads.isEmpty || pads.count == 2 * rank, pads.allSatisfy({ $0.magnitude <= 1 << 31 }) else {
        throw ModelError(.malformed, "its pads are \(pads)")
      }
      padding = (0..<rank).map { pads.isEmpty ? Margin(0) : Margin(pads[$0], pads[rank + $0]) }
    case "VALID": padding = kernel.map { _ in Margin(0) }
    case let mode where mode == "SAME_UPPER" || mode == "SAME_LOWER":
      padding = try (0..<rank).map { axis in
        let windows = (sizes[axis] + stride[axis] - 1) / stride[axis]
        let reach = try call.product([kernel[axis] - 1, dilation[axis]]) + 1
        let total = max((windows - 1) * stride[axis] + reach - sizes[axis], 0)
        return mode == "SAME_UPPER" ? Margin(total / 2, total - total / 2) : Margin(total - total / 2, total / 2)
      }
    case let mode: throw ModelError(.unsupported, "pads in the mode \(mode)")
    }
  }

  /// How far a window reaches along an axis.
  func reach(_ axis: Int) -> Int { (kernel[axis] - 1) * dilation[axis] + 1 }
}
