import ModelCore
import ModelGraph

/// How a Resize or Upsample makes new elements of old ones along each axis.
struct ResizeRule {
  let mode: String
  let coordinates: String
  let nearest: String
  let cubicA: Double
  let excludesOutside: Bool
  let antialiases: Bool
  let extrapolation: Double
  /// The new length of every axis.
  var sizes: [Int]
  /// The factor of every axis.
  var scales: [Double]
  /// Whether the factors, not the sizes, were said.
  let isScaled: Bool
  /// The part of every axis that is resized, from 0 to 1: for `tf_crop_and_resize`.
  var region: [(start: Double, end: Double)]
  /// Before edition 11: what shrinks takes the element above.
  private let isSimple: Bool

  init(_ call: NodeCall, _ shape: [Int]) throws {
    let isOld = call.node.operation == "Upsample" || call.opset < 11
    mode = try call.text("mode", "nearest")
    coordinates = isOld ? "asymmetric" : try call.text("coordinate_transformation_mode", "half_pixel")
    nearest = isOld ? "floor" : try call.text("nearest_mode", "round_prefer_floor")
    cubicA = try call.float("cubic_coeff_a", -0.75)
    excludesOutside = try call.flag("exclude_outside")
    antialiases = try call.flag("antialias")
    extrapolation = try call.float("extrapolation_value", 0)
    isSimple = isOld && call.node.operation == "Resize"
    let axes = try (isOld ? nil : call.ints("axes"))?.map { try call.axis($0, shape.count) } ?? Array(shape.indices)
    sizes = shape
    scales = shape.map { _ in 1 }
    region = shape.map { _ in (0, 1) }
    if coordinates == "tf_crop_and_resize", let said = try call.numbers(1), said.count == 2 * axes.count {
      for (index, axis) in axes.enumerated() { region[axis] = (said[index], said[axes.count + index]) }
    }
    let given: [Double]? = try {
      if call.node.operation == "Upsample", call.opset < 9 {
        return try call.floats("scales")
          ?? (call.has("height_scale") ? [1, 1, call.float("height_scale", 1), call.float("width_scale", 1)] : nil)
      }
      return try call.numbers(isOld ? 1 : 2)
    }()
    if let given, !given.isEmpty {
      guard given.count == axes.count, given.allSatisfy({ $0 > 0 && $0.isFinite }) else {
        throw ModelError(.malformed, "scales \(shape) by \(given.prefix(8))")
      }
      isScaled = true
      for (axis, scale) in zip(axes, given) {
        scales[axis] = scale
        let length = (Double(shape[axis]) * (region[axis].end - region[axis].start) * scale).rounded(.down)
        guard (0...Double(1 << 31)).contains(length) else {
          throw ModelError(.mismatch, "cannot scale \(shape[axis]) by \(scale)")
        }
        sizes[axis] = Int(length)
      }
      return
    }
    isScaled = false
    guard !isOld, var wanted = try call.integers(3), wanted.count == axes.count,
      wanted.allSatisfy({ (0...1 << 31).contains($0) })
    else { throw ModelError(.malformed, "says no scales and no sizes") }
    let policy = try call.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch" {
      let ratios = zip(axes, wanted).map { Double($1) / Double(max(shape[$0], 1)) }
      guard let ratio = policy == "not_larger" ? ratios.min() : ratios.max() else {
        throw ModelError(.malformed, "says no sizes")
      }
      wanted = axes.map { Int((Double(shape[$0]) * ratio + 0.5).rounded(.down)) }
      for axis in axes { scales[axis] = ratio }
    }
    for (axis, length) in zip(axes, wanted) {
      sizes[axis] = length
      if policy == "stretch" { scales[axis] = Double(length) / Double(max(shape[axis], 1)) }
    }
  }

  /// Where a new element lies among the old ones.
  func source(_ index: Int, _ axis: Int, _ size: Int) -> Double {
    let (x, scale) = (Double(index), scales[axis])
    let newSize = Double(sizes[axis])
    switch coordinates {
    case "align_corners": return newSize > 1 ? x * Double(size - 1) / (newSize - 1) : 0
    case "asymmetric": return x / scale
    case "pytorch_half_pixel": return newSize > 1 ? (x + 0.5) / scale - 0.5 : 0
    case "tf_half_pixel_for_nn": return (x + 0.5) / scale
    case "half_pixel_symmetric":
      let adjustment = newSize / (scale * Double(size))
      return Double(size) / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    case "tf_crop_and_resize":
      let (start, end) = region[axis]
      return newSize > 1
        ? start * Double(size - 1) + x * (end - start) * Double(size - 1) / (newSize - 1)
        : 0.5 * (start + end) * Double(size - 1)
    default: return (x + 0.5) / scale - 0.5
    }
  }

  /// The old element that a new one takes.
  func place(_ index: Int, _ axis: Int, _ size: Int) -> Int {
    let x = source(index, axis, size)
    let rounded: Double
    switch nearest {
    case "round_prefer_floor": rounded = (x - 0.5).rounded(.up)
    case "round_prefer_ceil": rounded = (x + 0.5).rounded(.down)
    case "ceil": rounded = x.rounded(.up)
    default: rounded = isSimple && scales[axis] < 1 ? x.rounded(.up) : x.rounded(.down)
    }
    // Also false for what is no number.
    return rounded > 0 ? Int(min(rounded, Double(size - 1))) : 0
  }

  /// Whether a new element lies outside the old ones.
  func isOutside(_ index: Int, _ axis: Int, _ size: Int) -> Bool {
    coordinates == "tf_crop_and_resize" && !(0...Double(size - 1)).contains(source(index, axis, size))
  }

  /// How much each old element adds to a new one.
  func weights(_ index: Int, _ axis: Int, _ size: Int) -> [Double] {
    let x = source(index, axis, size)
    let stretch = antialiases ? min(scales[axis], 1) : 1
    let reach = (mode == "cubic" ? 2 : 1) / stretch
    var weights = [Double](repeating: 0, count: size)
    var sum = 0.0
    // Nothing reaches further than a picture's length, whatever factors a file says.
    func bound(_ x: Double) -> Int { x > Double(-4 * size) ? Int(min(x, Double(5 * size))) : -4 * size }
    let first = bound((x - reach).rounded(.down))
    for place in first...max(first, bound((x + reach).rounded(.up))) {
      var weight = filter(abs(Double(place) - x) * stretch)
      if excludesOutside, !(0..<size).contains(place) { weight = 0 }
      sum += weight
      weights[min(max(place, 0), size - 1)] += weight
    }
    return excludesOutside || antialiases ? weights.map { $0 / sum } : weights
  }

  private func filter(_ x: Double) -> Double {
    if mode != "cubic" { return max(1 - x, 0) }
    let a = cubicA
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
  }
}

extension NodeCall {
  func resized() throws -> Operand {
    let x = try operand(0)
    let rule = try ResizeRule(self, x.shape)
    guard ["nearest", "linear", "bilinear", "cubic"].contains(rule.mode) else {
      throw ModelError(.unsupported, "resizes in the mode \(rule.mode)")
    }
    if let resize = rule.likeTorch(x.shape) { return try emit(.resize(resize), x) }
    var result = x
    let changed = x.shape.indices.filter {
      rule.sizes[$0] != x.shape[$0] || rule.scales[$0] != 1 || rule.coordinates == "tf_crop_and_resize"
    }
    guard changed.allSatisfy({ x.shape[$0] > 0 }) else { throw ModelError(.mismatch, "no elements have no other size") }
    for axis in changed {
      let (size, newSize) = (x.shape[axis], rule.sizes[axis])
      guard try rule.mode == "nearest" || product([size, newSize]) <= 1 << 22 else {
        throw ModelError(.limit, "is too large to resize")
      }
      if rule.mode == "nearest" {
        let places = try counted(newSize) { rule.place($0, axis, size) }
        result = try emit(.gather(axis: axis, batchAxes: 0), result, constant(places))
      } else {
        let weights = (0..<newSize).flatMap { rule.weights($0, axis, size) }
        var order = Array(result.shape.indices)
        order.swapAt(axis, order.count - 1)
        let matrix = try constant(weights, x.dtype.isInteger ? .float32 : x.dtype, [newSize, size])
        let moved = try permute(x.dtype.isInteger ? convert(result, .float32) : result, order)
        result = try permute(emit(.linear, moved, matrix), order)
      }
    }
    for axis in changed {
      guard rule.coordinates == "tf_crop_and_resize" else { continue }
      let outside = try counted(rule.sizes[axis]) { rule.isOutside($0, axis, x.shape[axis]) ? 1 : 0 }.map(Double.init)
      guard outside.contains(1) else { continue }
      var shape = [Int](repeating: 1, count: x.rank)
      shape[axis] = outside.count
      result = try emit(
        .select, constant(outside, .bool, shape), scalar(rule.extrapolation, result.dtype), result)
    }
    return try convert(result, x.dtype)
  }
}

extension ResizeRule {
  /// The same as PyTorch resizes pictures, where that is the same; nil where it is not.
  func likeTorch(_ shape: [Int]) -> Resize? {
    guard (3...5).contains(shape.count), sizes[0] == shape[0], sizes[1] == shape[1], scales[0] == 1, scales[1] == 1,
      !antialiases, !shape.contains(0), !sizes.contains(0), !isSimple || zip(scales, shape).allSatisfy({ $0.0 >= 1 })
    else { return nil }
    let target: Resize.Target = isScaled ? .scale(Array(scales.dropFirst(2))) : .size(Array(sizes.dropFirst(2)))
    // Factors that a policy about proportions made are not those of the sizes.
    guard isScaled || zip(zip(sizes, shape), scales).allSatisfy({ Double($0.0) / Double($0.1) == $1 }) else {
      return nil
    }
    switch (mode, coordinates) {
    case ("nearest", "asymmetric") where nearest == "floor": return Resize(target)
    case ("linear", "half_pixel"), ("bilinear", "half_pixel"): return Resize(target, mode: .linear)
    case ("linear", "pytorch_half_pixel"), ("bilinear", "pytorch_half_pixel"):
      return sizes.dropFirst(2).allSatisfy { $0 > 1 } ? Resize(target, mode: .linear) : nil
    case ("linear", "align_corners"), ("bilinear", "align_corners"):
      return Resize(.size(Array(sizes.dropFirst(2))), mode: .linear, alignsCorners: true)
    case ("cubic", "half_pixel") where cubicA == -0.75 && !excludesOutside: return Resize(target, mode: .cubic)
    default: return nil
    }
  }
}
