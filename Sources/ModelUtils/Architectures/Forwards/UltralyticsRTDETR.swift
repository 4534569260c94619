import ModelCore

extension Forward {
  /// RT-DETR's head, in evaluation: the best positions of the encoder become queries, and a decoder refines their
  /// boxes.
  static let ultralyticsRTDETR = ultralytics(
    "head",
    [
      "RTDETRDecoder": .list { head, inputs in
        guard !head.isTrue("learnt_init_query") else {
          throw ModelError("learnt queries are not supported", subject: head.path)
        }
        let levels = head.list("input_proj")
        guard levels.count == inputs.count else {
          throw ModelError("takes \(levels.count) tensors, not \(inputs.count)", subject: head.path)
        }
        let values = try head.concatenate(
          zip(levels, inputs).map { try head.permute(head.flatten(head($1, $0), start: 2), [0, 2, 1]) })
        let features = try head(head.map("mask", values), "enc_output")
        let scores = try head(features, "enc_score_head")
        let queries = try head.int("num_queries")
        let places = try head.emit(
          .largest(axis: 1, count: queries), head.emit(.reduce("max", axes: [2], keepsAxes: false), scores))
        let chosen = try head.gather(features, places)
        let (boxes, classes) = try head.decode(chosen, head.map("anchors", head(chosen, "enc_bbox_head")), values)
        // Of all classes of all queries the best.
        let best = try head.emit(.largest(axis: 1, count: queries), head.flatten(classes))
        let score = try head.reshape(
          head.gather(head.flatten(classes), best), [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(1)])
        return try head.concatenate([head.gather(boxes, best), score, head.map("class", score)], axis: 2)
      }
    ])
}

extension ForwardCall {
  /// Runs the child `decoder`, whose forward calls other children of this module: boxes [batch, queries, 4] and scores
  /// of the classes.
  fileprivate func decode(_ queries: Value, _ references: Value, _ values: Value) throws -> (Value, Value) {
    guard let decoder = module["decoder"] else { throw missing("decoder") }
    guard let last = decoder.attributes["eval_idx"]?.intValue, list("decoder.layers").indices.contains(last) else {
      throw ModelError("\(decoder.className) has no usable attribute 'eval_idx'", subject: path(of: "decoder"))
    }
    var (x, boxes) = (queries, try activate(.sigmoid, references))
    for index in 0...last {
      x = try self([x, boxes, values, self(boxes, "query_pos_head")], "decoder.layers.\(index)")
      boxes = try activate(.sigmoid, add(self(x, "dec_bbox_head.\(index)"), map("inverse_sigmoid", boxes)))
    }
    let scores = try self(x, "dec_score_head.\(last)")
    // The decoder stacks what its layers give; in evaluation that is one.
    let stacked = try [stack([boxes]), stack([scores])]
    try tracer.graph.append(callOf: decoder.identity, path: path(of: "decoder"), outputs: stacked)
    return (boxes, try activate(.sigmoid, scores))
  }
}
