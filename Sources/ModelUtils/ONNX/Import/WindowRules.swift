import ModelCore
import ModelGraph

/// Pools.
extension NodeRules {
  static let windows: [String: Rule] = [
    "MaxPool": { call in try call.maxPool() },
    "AveragePool": { call in [try call.averagePool()] },
    "LpPool": { call in [try call.powerPool()] },
    "GlobalAveragePool": { call in [try call.globalPool(.mean)] },
    "GlobalMaxPool": { call in [try call.globalPool(.max)] },
    "GlobalLpPool": { call in
      let (x, p) = (try call.operand(0), try call.float("p", Double(call.int("p", 2))))
      let powers = try call.unary(.abs, x)
      let sum = try call.reduce(.sum, call.power(powers, call.scalar(p, x.dtype)), Array(2..<max(x.rank, 2)))
      return [try call.power(sum, call.scalar(1 / p, x.dtype))]
    },
    "Resize": { call in [try call.resized()] },
    "Upsample": { call in [try call.resized()] },
    "LRN": { call in [try call.localResponseNorm()] },
  ]
}

extension NodeCall {
  func globalPool(_ reduction: Reduction) throws -> Operand {
    let x = try operand(0)
    guard x.rank >= 3 else { throw ModelError(.mismatch, "takes 3 axes or more, but \(x.shape) comes to it") }
    guard (3...5).contains(x.rank) else { return try reduce(reduction, x, Array(2..<x.rank)) }
    let size = [Int?](repeating: 1, count: x.rank - 2)
    return try emit(.adaptivePool(AdaptivePool(reduction == .mean ? .average : .max, outputSize: size)), x)
  }

  /// A pool as its windows, and what is put behind the padding so that as many windows fit as there are.
  struct PoolWindows {
    let geometry: WindowGeometry
    /// Behind the padding.
    let overhang: [Int]

    init(_ call: NodeCall, _ x: Operand) throws {
      guard let kernel = try call.ints("kernel_shape") else { throw ModelError(.malformed, "says no kernel_shape") }
      guard x.rank == kernel.count + 2 else {
        throw ModelError(.mismatch, "takes \(kernel.count + 2) axes, but \(x.shape) comes to it")
      }
      let sizes = Array(x.shape.dropFirst(2))
      let geometry = try WindowGeometry(call, kernel: kernel, sizes: sizes)
      self.geometry = geometry
      let roundsUp = try call.flag("ceil_mode")
      overhang = try kernel.indices.map { axis in
        let (margin, stride) = (geometry.padding[axis], geometry.stride[axis])
        let room = sizes[axis] + margin.before + margin.after - geometry.reach(axis)
        guard room >= 0 || (roundsUp && room > -stride) else {
          throw ModelError(.mismatch, "its window is larger than its input of \(sizes[axis])")
        }
        guard roundsUp, room % stride != 0 else { return 0 }
        let windows = room < 0 ? 1 : room / stride + 2
        // The last window must begin inside the input or the padding before it.
        let begins = (windows - 1) * stride
        return begins >= sizes[axis] + margin.before ? 0 : begins - room
      }
    }

    var isEven: Bool { geometry.padding.allSatisfy { $0.before == $0.after && $0.before >= 0 } }

    func pool(
      _ kind: Pool.Kind, padding: [Int]? = nil, ceilMode: Bool = false, countsPadding: Bool = true, divisor: Int? = nil
    )
      -> Operation
    {
      .pool(
        Pool(
          kind, kernelSize: geometry.kernel, stride: geometry.stride, padding: padding, dilation: geometry.dilation,
          ceilMode: ceilMode, countsPadding: countsPadding, divisor: divisor))
    }

    /// The margins of all axes.
    func margins(withOverhang: Bool) -> [Margin] {
      [Margin(0), Margin(0)]
        + zip(geometry.padding, overhang).map { Margin($0.before, $0.after + (withOverhang ? $1 : 0)) }
    }
  }

  func maxPool() throws -> [Operand?] {
    let x = try operand(0)
    let windows = try PoolWindows(self, x)
    let padded: Operand
    var result: Operand
    let isLikeTorch =
      windows.isEven
      && zip(windows.geometry.padding, windows.geometry.kernel).allSatisfy { 2 * $0.before <= $1 }
    if isLikeTorch, windows.overhang.allSatisfy({ $0 == 0 }) || isCeiled(windows, x) {
      let operation = windows.pool(
        .max, padding: windows.geometry.padding.map(\.before), ceilMode: windows.overhang.contains { $0 > 0 })
      result = try emit(operation, x)
    } else {
      let margins = windows.margins(withOverhang: true)
      padded = try emit(.pad(margins, .constant(x.dtype.range.lowerBound)), x)
      result = try emit(windows.pool(.max), padded)
    }
    return [result, gives(1) ? try places(x, windows, result) : nil]
  }

  /// Whether PyTorch's ceil mode makes as many windows.
  private func isCeiled(_ windows: PoolWindows, _ x: Operand) -> Bool {
    let operation = windows.pool(.max, padding: windows.geometry.padding.map(\.before), ceilMode: true)
    guard let shape = try? operation.resultTypes(of: [x.type])[0].shape else { return false }
    return windows.geometry.kernel.indices.allSatisfy { axis in
      let geometry = windows.geometry
      let room = x.shape[axis + 2] + 2 * geometry.padding[axis].before + windows.overhang[axis] - geometry.reach(axis)
      return shape[axis + 2] == room / geometry.stride[axis] + 1
    }
  }

  /// Where the largest elements stand in the whole input, laid out in a row.
  private func places(_ x: Operand, _ windows: PoolWindows, _ result: Operand) throws -> Operand {
    let (sizes, lengths) = (Array(x.shape.dropFirst(2)), Array(result.shape.dropFirst(2)))
    let (plane, planes) = (try product(sizes), x.shape[0] * x.shape[1])
    let geometry = windows.geometry
    let (positions, elements) = (try product(lengths), try product(geometry.kernel))
    guard try product([positions, elements]) <= ONNXTracer.foldingLimit else {
      throw ModelError(.limit, "its windows are too many to tell where their largest elements are")
    }
    // For every window the places of its elements, one beyond the plane where they lie outside.
    let isColumnMajor = try flag("storage_order")
    let strides = Tensor.contiguousStrides(sizes)
    let columnStrides = sizes.indices.map { sizes[..<$0].reduce(1, *) }
    var (sources, told) = ([Int](), [Int]())
    for position in 0..<positions {
      for element in 0..<elements {
        var (rest, part, source, place, isInside) = (position, element, 0, 0, true)
        for axis in sizes.indices.reversed() {
          let index =
            rest % lengths[axis] * geometry.stride[axis] - geometry.padding[axis].before
            + part % geometry.kernel[axis] * geometry.dilation[axis]
          (rest, part) = (rest / lengths[axis], part / geometry.kernel[axis])
          isInside = isInside && (0..<sizes[axis]).contains(index)
          source += index * strides[axis]
          place += index * (isColumnMajor ? columnStrides[axis] : strides[axis])
        }
        sources.append(isInside ? source : plane)
        told.append(isInside ? place : 0)
      }
    }
    let flat = try reshape(x, [planes, plane])
    let padded = try emit(.pad([Margin(0), Margin(0, 1)], .constant(x.dtype.range.lowerBound)), flat)
    let spread = try emit(.gather(axis: 1, batchAxes: 0), padded, constant(sources, [positions, elements]))
    let chosen = try emit(.argmax(axis: 2, keepsAxis: false), spread)
    let firsts = try constant((0..<positions).map { $0 * elements }, [1, positions])
    let told1 = try emit(.gather(axis: 0, batchAxes: 0), constant(told), binary(.add, chosen, firsts))
    let offsets = try constant(counted(planes) { $0 * plane }, [planes, 1])
    return try reshape(binary(.add, told1, offsets), result.shape)
  }

  func averagePool() throws -> Operand {
    let x = try operand(0)
    let windows = try PoolWindows(self, x)
    let countsPadding = try opset >= 7 && flag("count_include_pad")
    if windows.isEven, windows.overhang.allSatisfy({ $0 == 0 }) || isCeiled(windows, x),
      zip(windows.geometry.padding, windows.geometry.kernel).allSatisfy({ 2 * $0.before <= $1 })
    {
      let operation = windows.pool(
        .average, padding: windows.geometry.padding.map(\.before), ceilMode: windows.overhang.contains { $0 > 0 },
        countsPadding: countsPadding)
      return try emit(operation, x)
    }
    // Sums, divided by how many elements of each window count.
    let sums = try emit(
      windows.pool(.average, divisor: 1), emit(.pad(windows.margins(withOverhang: true), .constant(0)), x))
    let ones = try filled(scalar(1, x.dtype), [1, 1] + x.shape.dropFirst(2))
    let counting = try countsPadding ? emit(.pad(windows.margins(withOverhang: false), .constant(1)), ones) : ones
    let outside = zip(windows.geometry.padding, windows.overhang).map { margin, overhang in
      countsPadding ? Margin(0, overhang) : Margin(margin.before, margin.after + overhang)
    }
    let counts = try emit(
      windows.pool(.average, divisor: 1), emit(.pad([Margin(0), Margin(0)] + outside, .constant(0)), counting))
    return try binary(.divide, sums, unary(.clip(minimum: 1, maximum: nil), counts))
  }

  /// The root of the sum of powers.
  func powerPool() throws -> Operand {
    let x = try operand(0)
    let windows = try PoolWindows(self, x)
    let p = try opset >= 2 ? Double(int("p", 2)) : float("p", 2)
    let powers = try power(unary(.abs, x), scalar(p, x.dtype))
    let padded = try emit(.pad(windows.margins(withOverhang: true), .constant(0)), powers)
    return try power(emit(windows.pool(.average, divisor: 1), padded), scalar(1 / p, x.dtype))
  }

  /// Divided by a power of the mean square of neighbouring channels.
  func localResponseNorm() throws -> Operand {
    let x = try operand(0)
    guard x.rank >= 3, let size = try int("size"), (1...1 << 20).contains(size) else {
      throw ModelError(.malformed, "says no size")
    }
    let (alpha, beta, bias) = (try float("alpha", 1e-4), try float("beta", 0.75), try float("bias", 1))
    let columns = try reshape(unary(.square, x), [x.shape[0], 1, x.shape[1], product(x.shape.dropFirst(2))])
    let padded = try emit(
      .pad([Margin(0), Margin(0), Margin((size - 1) / 2, size / 2), Margin(0)], .constant(0)), columns)
    let pool = Pool(.average, kernelSize: [size, 1], stride: [1, 1], divisor: size)
    let means = try reshape(emit(.pool(pool), padded), x.shape)
    let base = try binary(.add, binary(.multiply, means, scalar(alpha, x.dtype)), scalar(bias, x.dtype))
    return try binary(.divide, x, power(base, scalar(beta, x.dtype)))
  }
}
