import ModelCore
import ModelGraph

/// Pictures of regions.
extension NodeRules {
  static let regions: [String: Rule] = [
    "RoiAlign": { call in [try call.alignedRegions()] },
    "MaxRoiPool": { call in
      guard let size = try call.ints("pooled_shape"), size.count == 2 else {
        throw ModelError(.malformed, "says no pooled_shape")
      }
      let (x, rois) = (try call.operand(0), try call.operand(1))
      guard x.rank == 4, rois.rank == 2 else { throw ModelError(.mismatch, "takes \(x.shape) and \(rois.shape)") }
      return [
        try call.unknown("regions are not pooled", TensorType(x.dtype, [rois.shape[0], x.shape[1]] + size))
      ]
    },
  ]
}

/// Where the samples of regions lie along an axis: of each the two elements that it is between, and how much of each.
private struct SamplesOfRegions {
  /// [regions, samples], whole numbers.
  let places: [Operand]
  /// [regions, samples], 0 where the sample lies outside.
  let weights: [Operand]
}

extension NodeCall {
  /// Each bin of each region [first x, first y, last x, last y] as the mean, or the largest, of samples between the
  /// pixels of its picture.
  fileprivate func alignedRegions() throws -> Operand {
    let (x, regions, pictures) = (try operand(0), try operand(1), try operand(2))
    guard x.rank == 4, regions.rank == 2, regions.shape[1] == 4, pictures.shape == [regions.shape[0]] else {
      throw ModelError(.mismatch, "takes \(x.shape) at \(regions.shape) of the pictures \(pictures.shape)")
    }
    let bins = [try int("output_height", 1), try int("output_width", 1)]
    let type = TensorType(x.dtype, [regions.shape[0], x.shape[1]] + bins)
    let samples = try int("sampling_ratio", 0)
    guard samples > 0 else { return try unknown("takes more samples of larger regions", type) }
    guard bins.allSatisfy({ $0 > 0 }), x.shape[2...].allSatisfy({ $0 > 0 }),
      try product(bins + [samples, samples]) < 1 << 20
    else { throw ModelError(.mismatch, "makes regions of \(bins), \(samples) samples each, of \(x.shape)") }
    let isMean = try text("mode", "avg") == "avg"
    let rows = try self.samples(regions, axis: 0, of: x.shape[2], bins: bins[0], samples)
    let columns = try self.samples(regions, axis: 1, of: x.shape[3], bins: bins[1], samples)
    let (count, width) = (regions.shape[0], x.shape[3])
    // A pixel's channels are a row.
    let pixels = try reshape(permute(x, [0, 2, 3, 1]), [x.shape[0] * x.shape[2] * width, x.shape[1]])
    let pictureSize = try constant([x.shape[2] * width], [])
    let first = try reshape(binary(.multiply, wrapped(pictures, x.shape[0]), pictureSize), [count, 1, 1])
    var result: Operand?
    for (row, rowWeight) in zip(rows.places, rows.weights) {
      for (column, columnWeight) in zip(columns.places, columns.weights) {
        let line = try binary(.add, first, unsqueeze(binary(.multiply, row, constant([width], [])), 2))
        let place = try binary(.add, line, unsqueeze(column, 1))
        let weight = try binary(.multiply, unsqueeze(rowWeight, 2), unsqueeze(columnWeight, 1))
        let values = try emit(.gather(axis: 0, batchAxes: 0), pixels, place)
        let part = try binary(.multiply, values, unsqueeze(weight, 3))
        // ONNX's largest is of the four weighted pixels, not of their sum.
        result = try result.map { try binary(isMean ? .add : .maximum, $0, part) } ?? part
      }
    }
    guard let result else { return try unknown("has no samples", type) }
    let grid = try reshape(result, [count, bins[0], samples, bins[1], samples, x.shape[1]])
    return try permute(reduce(isMean ? .mean : .max, grid, [2, 4], keepsAxes: false), [0, 3, 1, 2])
  }

  private func samples(
    _ regions: Operand, axis: Int, of size: Int, bins: Int, _ samples: Int
  ) throws -> SamplesOfRegions {
    let dtype = regions.dtype
    func number(_ value: Double) throws -> Operand { try scalar(value, dtype) }
    let isAligned = try opset >= 16 && text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    func edge(_ column: Int) throws -> Operand {
      let scaled = try binary(.multiply, slice(regions, 1, column, column + 1), number(float("spatial_scale", 1)))
      return isAligned ? try binary(.subtract, scaled, number(0.5)) : scaled
    }
    let start = try edge(1 - axis)
    var length = try binary(.subtract, edge(3 - axis), start)
    if !isAligned { length = try binary(.maximum, length, number(1)) }
    let steps = (0..<bins * samples).map { (Double($0) + 0.5) / Double(bins * samples) }
    let source = try binary(.add, start, binary(.multiply, length, constant(steps, dtype, [1, steps.count])))
    let isInside = try binary(
      .and, compare(.greaterOrEqual, source, number(-1)), compare(.lessOrEqual, source, number(Double(size))))
    let clipped = try unary(.clip(minimum: 0, maximum: Double(size - 1)), source)
    let low = try unary(.floor, clipped)
    let high = try unary(.clip(minimum: 0, maximum: Double(size - 1)), binary(.add, low, number(1)))
    let fraction = try binary(.subtract, clipped, low)
    let weights = try [binary(.subtract, number(1), fraction), fraction].map {
      try emit(.select, isInside, $0, number(0))
    }
    return SamplesOfRegions(places: try [low, high].map { try convert($0, .int64) }, weights: weights)
  }
}
