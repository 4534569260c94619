import ModelCore
import ModelGraph

extension Forward {
  /// RT-DETR's head, in evaluation: the best positions of the encoder become queries, and a decoder refines their
  /// boxes. In training it needs the pictures' boxes.
  static let ultralyticsRTDETR = ultralytics(
    "head",
    [
      "RTDETRDecoder": Forward.list { head, inputs in
        let levels = head.list("input_proj")
        guard levels.count == inputs.count else {
          throw ModelError(.mismatch, "takes \(levels.count) tensors, not \(inputs.count)", subject: head.path)
        }
        let maps = try zip(levels, inputs).map { try head($1, $0) }
        let values = try head.concatenate(maps.map { try head.permute(head.flatten($0, start: 2), [0, 2, 1]) })
        let (anchors, isValid) = try head.anchors(maps)
        let features = try head(head.multiply(isValid, values), "enc_output")
        let scores = try head(features, "enc_score_head")
        let queries = try head.int("num_queries")
        let places = try head.places(ofLargest: queries, head.max(scores, axis: 2), axis: 1)
        let chosen = try head.gather(features, places)
        let references = try head.add(
          head(chosen, "enc_bbox_head"), head.emit(.gather(axis: 0, batchAxes: 0), anchors, places))
        let start = head.isTrue("learnt_init_query") ? try head.learntQueries(places, like: chosen) : chosen
        let (boxes, classes) = try head.decode(start, references, values, maps)
        // Of all classes of all queries the best.
        let best = try head.emitAll(.topK(axis: 1, count: queries), [head.flatten(head.sigmoid(classes))])
        let count = try head.constant(integers: [head.int("nc")], [])
        func column(_ tensor: ForwardCall.Value) throws -> ForwardCall.Value {
          try head.reshape(tensor, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(1)])
        }
        return try head.concatenate(
          [
            head.gather(boxes, head.binary(.floorDivide, best[1], count)), column(best[0]),
            head.convert(column(head.binary(.remainder, best[1], count)), .float32),
          ], axis: 2)
      }.inferenceOnly.leaving("denoising_class_embed", "dec_bbox_head", "dec_score_head")
    ])
}

extension ForwardCall {
  /// A box for each position of every level, by the logits of its middle and size, [positions, 4], and which of them
  /// lie inside the picture, [positions, 1]; the others are infinite.
  fileprivate func anchors(_ maps: [Value]) throws -> (Value, Value) {
    let boxes = try maps.enumerated().map { level, map in
      // Width, then height.
      let size = try concatenate(
        [3, 2].map { try slice(emit(.shape, map), axis: 0, from: $0, to: $0 + 1) }, axis: 0)
      let places = try permute(flatten(coordinates(map)), [1, 0])
      let middles = try divide(add(places, 0.5), size)
      let extents = try add(multiply(places, 0), 0.05 * Double(1 << level))
      return try concatenate([middles, extents], axis: 1)
    }
    let all = try concatenate(boxes, axis: 0)
    func bound(_ reduction: Reduction, _ comparison: Comparison, _ limit: Double) throws -> Value {
      try emit(
        .compare(comparison), emit(.reduce(reduction, axes: [1], keepsAxes: true), all), constant([limit], []))
    }
    let isValid = try binary(.and, bound(.min, .greater, 0.01), bound(.max, .less, 0.99))
    let logits = try unary(.log, divide(all, subtract(constant([1], []), all)))
    return (try emit(.select, isValid, logits, constant([.infinity], [])), isValid)
  }

  /// As many of the learnt queries as places were chosen.
  fileprivate func learntQueries(_ places: Value, like chosen: Value) throws -> Value {
    let first = try emit(
      .gather(axis: 0, batchAxes: 0), weight("tgt_embed.weight"), emit(.coordinates(axis: 1), places))
    return try expand(first, (0..<3).map { .of(operand: 1, axis: $0) }, like: chosen)
  }

  /// Runs the child `decoder`, whose forward calls other children of this module: boxes [batch, queries, 4] and logits
  /// of the classes.
  fileprivate func decode(
    _ queries: Value, _ references: Value, _ values: Value, _ maps: [Value]
  ) throws -> (boxes: Value, classes: Value) {
    let outputs = try inline("decoder", [queries, references, values]) { decoder in
      let last = try decoder.int("eval_idx")
      guard decoder.list("layers").indices.contains(last) else { throw decoder.missing("eval_idx") }
      var (x, boxes) = (queries, try decoder.sigmoid(references))
      for index in 0...last {
        x = try decoder([x, boxes, values, self(boxes, "query_pos_head")] + maps, "layers.\(index)")
        boxes = try decoder.sigmoid(
          decoder.add(self(x, "dec_bbox_head.\(index)"), decoder.inverseSigmoid(boxes)))
      }
      // It stacks what its layers give; in evaluation that is one.
      return try [decoder.stack([boxes]), decoder.stack([self(x, "dec_score_head.\(last)")])]
    }
    func only(_ stacked: Value) throws -> Value {
      try reshape(stacked, [.of(operand: 0, axis: 1), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
    }
    return (try only(outputs[0]), try only(outputs[1]))
  }

  private func inverseSigmoid(_ x: Value) throws -> Value {
    let x = try unary(.clip(minimum: 0, maximum: 1), x)
    let above = Unary.clip(minimum: 1e-5, maximum: nil)
    return try unary(.log, divide(unary(above, x), unary(above, subtract(constant([1], []), x))))
  }
}
