import CKernels
import TestSupport
import Testing

extension Kernels {
  /// Pictures: every level gives the same bits, on odd sizes and unaligned starts, and writes nothing beyond its rows.
  /// What the values are is compared with the originals in ModelImagesTests.
  @Suite struct PicturesTests {
    @Test(arguments: [MK_SAMPLE_UINT8, MK_SAMPLE_FLOAT16, MK_SAMPLE_BFLOAT16, MK_SAMPLE_FLOAT32])
    func resampling(type: mk_sample) {
      let format = Format(
        type == MK_SAMPLE_FLOAT16 ? MK_FLOAT16 : type == MK_SAMPLE_BFLOAT16 ? MK_BFLOAT16 : MK_FLOAT32)
      for (height, width, rows, columns, outRows, outColumns) in [
        (1, 1, 1, 1, 1, 1), (1, 1, 5, 7, 8, 8), (3, 5, 2, 4, 3, 9), (7, 33, 7, 17, 7, 17), (9, 40, 5, 40, 6, 41),
        (4, 65, 9, 139, 5, 70), (5, 131, 3, 20, 4, 32), (2, 300, 2, 300, 3, 301), (6, 17, 12, 34, 12, 34),
      ] {
        let (keptRows, keptColumns) = (min(rows, outRows), min(columns, outColumns))
        var (rowIndex, columnIndex) = (
          [Int32](repeating: 0, count: keptRows), [Int32](repeating: 0, count: keptColumns)
        )
        var (rowWeight, columnWeight) = (
          [Float](repeating: 0, count: keptRows), [Float](repeating: 0, count: keptColumns)
        )
        mk_resample_taps(&rowIndex, &rowWeight, keptRows, height, rows)
        mk_resample_taps(&columnIndex, &columnWeight, keptColumns, width, columns)
        let count = height * width
        var generator = Generator(count)
        let source =
          type == MK_SAMPLE_UINT8
          ? (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
          : format.write(format.weights(count, seed: count))
        _ = atEveryLevel("\(height)x\(width) to \(rows)x\(columns)") {
          rowIndex.withUnsafeBufferPointer { rowIndex in
            columnIndex.withUnsafeBufferPointer { columnIndex in
              rowWeight.withUnsafeBufferPointer { rowWeight in
                columnWeight.withUnsafeBufferPointer { columnWeight in
                  var plan = mk_resampling(
                    in_height: height, in_width: width, height: keptRows, width: keptColumns, out_height: outRows,
                    out_width: outColumns, row_index: rowIndex.baseAddress, column_index: columnIndex.baseAddress,
                    row_weight: rowWeight.baseAddress, column_weight: columnWeight.baseAddress,
                    same_height: height == rows, same_width: width == columns, fill: 0.447)
                  let input = Memory(source, offset: 1)
                  let scratch = Memory(count: mk_resample_scratch(&plan), offset: 4)
                  // In two parts, as threads share a plane.
                  let first = outRows / 2
                  let target = Memory(count: outRows * outColumns * format.size, offset: 3)
                  mk_resample_rows(target.pointer, input.pointer, type, &plan, 0, first, scratch.pointer)
                  mk_resample_rows(
                    target.pointer + first * outColumns * format.size, input.pointer, type, &plan, first,
                    outRows - first, scratch.pointer)
                  #expect(target.isFenced && scratch.isFenced)
                  return target.bytes
                }
              }
            }
          }
        }
      }
    }

    @Test func pixelsOfOpenCV() {
      for (height, width, rows, columns) in [
        (1, 1, 3, 4), (5, 7, 9, 11), (8, 14, 4, 7), (33, 17, 20, 50), (9, 40, 9, 33),
      ] {
        var generator = Generator(width)
        let source = (0..<height * width * 3).map { _ in UInt8.random(in: 0...255, using: &generator) }
        _ = atEveryLevel("\(height)x\(width) to \(rows)x\(columns)") {
          let input = Memory(source, offset: 1)
          let scratch = Memory(count: mk_resize_pixels_scratch(columns))
          let target = Memory(count: rows * columns * 3, offset: 2)
          let to = target.pointer.assumingMemoryBound(to: UInt8.self)
          let from = UnsafePointer(input.pointer.assumingMemoryBound(to: UInt8.self))
          let first = rows / 2
          mk_resize_pixels(to, columns * 3, columns, rows, from, width, height, 0, first, scratch.pointer)
          mk_resize_pixels(
            to + first * columns * 3, columns * 3, columns, rows, from, width, height, first, rows - first,
            scratch.pointer)
          #expect(target.isFenced && scratch.isFenced)
          return target.bytes
        }
      }
    }

    /// Every byte and every 16-bit word comes back, and reversed rows reversed again are the rows.
    @Test func planesAndRows() {
      for isWide in [false, true] {
        let steps = isWide ? 65536 : 256
        let pixels = steps / 2 + 5
        var source: [UInt8] = []
        for index in 0..<pixels * 3 {
          source.append(UInt8(truncatingIfNeeded: index))
          if isWide { source.append(UInt8(truncatingIfNeeded: index >> 8)) }
        }
        let result = atEveryLevel("planes") {
          let input = Memory(source, offset: 1)
          let planes = Memory(count: pixels * 12)
          let back = Memory(count: source.count, offset: 1)
          let floats = planes.pointer.assumingMemoryBound(to: Float.self)
          mk_planes_from_pixels(floats, pixels, input.pointer, pixels, isWide)
          mk_pixels_from_planes(back.pointer, floats, pixels, pixels, isWide)
          #expect(planes.isFenced && back.isFenced)
          return back.bytes
        }
        #expect(result == source)
      }
      for size in [1, 2, 4] {
        for columns in [1, 7, 64, 65] {
          let source = (0..<3 * columns * size).map { UInt8(truncatingIfNeeded: $0 * 7) }
          let (input, once, twice) = (
            Memory(source, offset: 1), Memory(count: source.count), Memory(count: source.count)
          )
          mk_reverse_rows(once.pointer, input.pointer, 3, columns, size)
          mk_reverse_rows(twice.pointer, once.pointer, 3, columns, size)
          #expect(twice.bytes == source && once.isFenced && twice.isFenced)
          #expect(Array(once.bytes.prefix(size)) == Array(source[(columns - 1) * size..<columns * size]))
        }
      }
    }
  }
}
