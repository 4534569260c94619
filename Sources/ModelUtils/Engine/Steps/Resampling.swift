import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// The spatial axes in another size.
  mutating func resize(_ resize: Resize, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let taps = (2..<shape.count).map { axis -> [[Tap]] in
      var factor: Double?
      if case .scale(let factors) = resize.target { factor = factors[factors.count == 1 ? 0 : axis - 2] }
      return (0..<shape[axis]).map {
        // One that counts for nothing is not read.
        resize.taps($0, size: input[axis], newSize: shape[axis], factor: factor).filter { $0.weight != 0 }
      }
    }
    try mix(taps, "resize", node)
  }

  /// The gradient of a resizing's input: each pixel has a part of those that were made of it.
  mutating func resizeGradient(_ resize: Resize, _ node: Graph.Node) throws {
    let (shape, input) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let taps = (2..<shape.count).map { axis -> [[Tap]] in
      var spread = [[Tap]](repeating: [], count: input[axis])
      for (index, taps) in resize.taps(axis: axis, size: input[axis], newSize: shape[axis]).enumerated() {
        for tap in taps where tap.weight != 0 { spread[tap.index].append(Tap(index: index, weight: tap.weight)) }
      }
      return spread
    }
    try mix(taps, "gradient of a resizing", node)
  }

  /// Every pixel as a sum of others, which are found axis by axis.
  private mutating func mix(_ taps: [[[Tap]]], _ name: String, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let source = try dense(place(node.operands[0]), as: .channelsLast(input))
    let result = allocate(.channelsLast(shape), for: node.results[0])
    let pixels = shape.dropFirst(2).reduce(1, *)
    let (channels, layout) = (shape[1], source.layout)
    let columns = taps[taps.count - 1]
    let lines = pixels / max(columns.count, 1)
    add(node, name, "own", reads: [source], writes: [result]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      return {
        Parallel.forEachRange(shape[0] * lines, of: columns.count * channels) { range in
          var mix = Mix(channels: channels)
          for line in range {
            // What the outer axes make of a line, then each of its pixels.
            var (rest, rows) = (line % lines, [(place: line / lines * layout.strides[0], weight: 1.0)])
            for axis in taps.indices.dropLast().reversed() {
              let parts = taps[axis][rest % taps[axis].count]
              rest /= taps[axis].count
              rows = rows.flatMap { row in
                parts.map { (row.place + $0.index * layout.strides[axis + 2], row.weight * $0.weight) }
              }
            }
            var target = to + line * columns.count * channels
            for column in columns {
              for row in rows {
                for tap in column {
                  mix.add(from + row.place + tap.index * channels, Float(row.weight * tap.weight))
                }
              }
              mix.finish(target)
              target += channels
            }
          }
        }
      }
    }
  }

  /// Pictures between their pixels, zero outside.
  mutating func gridSample(alignsCorners: Bool, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let source = try dense(place(node.operands[0]), as: .channelsLast(input))
    let grid = try rowMajor(node.operands[1])
    let result = allocate(.channelsLast(shape), for: node.results[0])
    let (channels, height, width, points) = (input[1], input[2], input[3], shape[2] * shape[3])
    add(node, "grid sample", "own", reads: [source, grid], writes: [result]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let places = memory.floats(grid)
      return {
        Parallel.forEachRange(shape[0] * points, of: channels * 4) { range in
          var mix = Mix(channels: channels)
          for point in range {
            let picture = from + point / points * height * width * channels
            let (x, y) = (
              Corners(places[point * 2], width, alignsCorners), Corners(places[point * 2 + 1], height, alignsCorners)
            )
            for (row, rowWeight) in [(y.low, 1 - y.fraction), (y.low + 1, y.fraction)] where 0..<height ~= row {
              for (column, weight) in [(x.low, 1 - x.fraction), (x.low + 1, x.fraction)] where 0..<width ~= column {
                mix.add(picture + (row * width + column) * channels, rowWeight * weight)
              }
            }
            mix.finish(to + point * channels)
          }
        }
      }
    }
  }
}

/// The elements that a place from -1 to 1 lies between.
private struct Corners {
  let low: Int
  let fraction: Float

  init(_ coordinate: Float, _ size: Int, _ alignsCorners: Bool) {
    let place =
      alignsCorners
      ? (Double(coordinate) + 1) / 2 * Double(size - 1) : ((Double(coordinate) + 1) * Double(size) - 1) / 2
    let low = place.rounded(.down)
    // Also false for NaN.
    guard low >= -1, low < Double(size) else {
      (self.low, fraction) = (-2, 0)
      return
    }
    (self.low, fraction) = (Int(low), Float(place - low))
  }
}

/// A sum of rows of channels, each times a weight.
private struct Mix {
  let channels: Int
  private var rows: [UnsafePointer<Float>?] = []
  private var weights: [Float] = []

  init(channels: Int) {
    self.channels = channels
    rows.reserveCapacity(64)
    weights.reserveCapacity(64)
  }

  mutating func add(_ row: UnsafePointer<Float>, _ weight: Float) {
    rows.append(row)
    weights.append(weight)
  }

  /// Writes the sum, and begins anew.
  mutating func finish(_ target: UnsafeMutablePointer<Float>) {
    if rows.count == 1, weights[0] == 1, let row = rows[0] {
      target.update(from: row, count: channels)
    } else {
      mk_mix(target, channels, rows.count, rows, weights)
    }
    rows.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
  }
}
