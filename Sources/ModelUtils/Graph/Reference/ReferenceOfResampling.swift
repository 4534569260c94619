import ModelCore

/// Sizes, margins and places between pixels.
extension Reference {
  /// Axis after axis. Where a factor was given it, not the rounded size, says how coordinates go over: as PyTorch.
  static func resize(_ resize: Resize, _ input: ReferenceArray, _ type: TensorType) throws -> [Double] {
    var (shape, values) = (input.shape, input.values)
    for axis in shape.indices.dropFirst(2) {
      guard shape[axis] > 0 || type.shape[axis] == 0 else {
        throw ModelError(.mismatch, "no elements have no other size")
      }
      let taps = resize.taps(axis: axis, size: shape[axis], newSize: type.shape[axis])
      let view = AxisView(shape, axis: axis)
      var resized: [Double] = []
      for outer in 0..<view.outer {
        for taps in taps {
          for inner in 0..<view.inner {
            resized.append(taps.reduce(0) { $0 + $1.weight * values[view.place(outer, $1.index, inner)] })
          }
        }
      }
      shape[axis] = type.shape[axis]
      values = resized
    }
    return values
  }

  static func pad(_ input: ReferenceArray, _ margins: [Margin], _ mode: PadMode) -> [Double] {
    var (shape, values) = (input.shape, input.values)
    for (axis, margin) in margins.enumerated() where margin != Margin(0) {
      let sources = padSources(margin, mode, size: shape[axis])
      var filler = 0.0
      if case .constant(let value) = mode { filler = value }
      values = AxisView(shape, axis: axis).picking(sources, of: values, filler: filler)
      shape[axis] = sources.count
    }
    return values
  }

  /// Where each element of a padded axis comes from; negative where a constant stands.
  static func padSources(_ margin: Margin, _ mode: PadMode, size: Int) -> [Int] {
    // What is cut off is no part of a circle.
    let start = max(-margin.before, 0)
    let circle = size - start - max(-margin.after, 0)
    return (-margin.before..<size + margin.after).map { index in
      switch mode {
      case .constant: 0..<size ~= index ? index : -1
      case .reflect: index < 0 ? -index : index < size ? index : 2 * (size - 1) - index
      case .replicate: min(max(index, 0), size - 1)
      case .circular: start + (index - start + circle) % circle
      }
    }
  }

  static func gridSample(_ operands: [ReferenceArray], alignsCorners: Bool) -> [Double] {
    let (input, grid) = (operands[0], operands[1])
    let (channels, height, width) = (input.shape[1], input.shape[2], input.shape[3])
    let points = grid.shape[1] * grid.shape[2]
    func corners(_ coordinate: Double, _ size: Int) -> [Tap] {
      let scaled =
        alignsCorners
        ? (coordinate + 1) / 2 * Double(size - 1) : ((coordinate + 1) * Double(size) - 1) / 2
      let low = scaled.rounded(.down)
      return [(low, 1 - (scaled - low)), (low + 1, scaled - low)].compactMap { place, weight in
        // Also false for NaN.
        place >= 0 && place < Double(size) ? Tap(index: Int(place), weight: weight) : nil
      }
    }
    var result: [Double] = []
    for batch in 0..<input.shape[0] {
      let taps = (0..<points).map { point in
        let start = (batch * points + point) * 2
        return (corners(grid.values[start], width), corners(grid.values[start + 1], height))
      }
      for channel in 0..<channels {
        let plane = (batch * channels + channel) * height * width
        for (columns, rows) in taps {
          result.append(
            rows.reduce(0) { sum, row in
              columns.reduce(sum) {
                $0 + row.weight * $1.weight * input.values[plane + row.index * width + $1.index]
              }
            })
        }
      }
    }
    return result
  }
}

/// An element of an input and its part of an output.
/// An element that a new one is made of, and how much of it.
package struct Tap {
  package let index: Int
  package let weight: Double

  package init(index: Int, weight: Double) { (self.index, self.weight) = (index, weight) }
}

extension Resize {
  /// What makes up an element of an axis.
  package func taps(axis: Int, size: Int, newSize: Int) -> [[Tap]] {
    var factor: Double?
    if case .scale(let factors) = target { factor = factors[factors.count == 1 ? 0 : axis - 2] }
    return (0..<newSize).map { taps($0, size: size, newSize: newSize, factor: factor) }
  }

  /// The same of one element.
  package func taps(_ index: Int, size: Int, newSize: Int, factor: Double?) -> [Tap] {
    let scale = factor.map { 1 / $0 } ?? Double(size) / Double(newSize)
    switch mode {
    case .nearest: return [Tap(index: nearest(Float(index) * Float(scale), size), weight: 1)]
    case .nearestExact: return [Tap(index: nearest((Float(index) + 0.5) * Float(scale), size), weight: 1)]
    case .linear:
      let source = max(self.source(index, size, newSize, scale), 0)
      let low = nearest(source, size)
      let fraction = min(source - Double(low), 1)
      return [Tap(index: low, weight: 1 - fraction), Tap(index: min(low + 1, size - 1), weight: fraction)]
    case .cubic:
      let source = self.source(index, size, newSize, scale)
      let low = source.rounded(.down)
      return (-1...2).map { offset in
        let place = min(max(low + Double(offset), 0), Double(size - 1))
        return Tap(index: Int(place), weight: Self.cubic(abs(source - low - Double(offset))))
      }
    }
  }

  /// Rounded down, and within an axis. In single precision where PyTorch finds it in single precision: there the
  /// rounding decides between two pixels.
  private func nearest<T: BinaryFloatingPoint>(_ source: T, _ size: Int) -> Int {
    Int(min(max(source.rounded(.down), 0), T(size - 1)))
  }

  private func source(_ index: Int, _ size: Int, _ newSize: Int, _ scale: Double) -> Double {
    if alignsCorners { return newSize > 1 ? Double(index) * Double(size - 1) / Double(newSize - 1) : 0 }
    return (Double(index) + 0.5) * scale - 0.5
  }

  /// Keys' cubic convolution with a of -0.75, at a distance of up to 2.
  private static func cubic(_ distance: Double) -> Double {
    let (a, x) = (-0.75, distance)
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * a
  }
}
