// PocketSuperResolution.swift: enlarges a photo of any size with {{name}}.mlpackage
//
// Part of {{author}}. Licensed under the Apache License, Version 2.0; see LICENSE.
//
// The package takes one square of {{tile}} × {{tile}} pixels and gives one of {{out}} × {{out}}. This file cuts a photo into
// such squares, runs them and blends what comes out: padding, window grid, ramp and rounding are those of the project's
// page. The page computes with tiles of {{page_tile}} and an overlap of {{page_overlap}}. The largest difference to
// the untiled picture that was measured is {{seam}} here and {{page_seam}} there.
//
//     // the class that Xcode makes from the package
//     let model = try {{name}}(configuration: MLModelConfiguration()).model
//     let upscaler = try PocketUpscaler(model: model)
//     let larger = try await upscaler.upscale(photo) { part in print(part) }
//
// Needs iOS {{min_ios}} and Swift 5.7. Where a project's default actor isolation is MainActor, put this file in a package
// or framework of its own. Cancel the task to stop at the next tile.
// Memory: four bytes for every pixel of the photo and of the result, and a band of {{out}} rows of the result.
//
// Colour: the network sees the values of the photo as they are stored, in the photo's own RGB colour space, and the
//   result has the same colour space. Photos in other colour models (grey, CMYK, indexed) become sRGB first. Samples of
//   more than 8 bits are reduced to 8.
// Alpha: a photo with a transparent pixel is refused; the page enlarges alpha on its own, this file does not.
// Orientation: a CGImage has none. Apply the orientation of a UIImage or of EXIF before, or to the result.
//
// How far it was tested: a test parses this file, executes the arithmetic of TilePlan and compares it with the page's
// own. Another compiles the file with Swift 6 on Linux, against stand-ins for Apple's frameworks, and compares the
// pictures it makes, byte for byte, with those that were foretold. It was not compiled on a Mac, and ran on no device.

import CoreGraphics
import CoreML
import CoreVideo
import Foundation

// MARK: - The recipe

/// The numbers of the release {{id}}.
enum TileRecipe {
    /// Side of the square that the package takes, in pixels.
    static let tile = {{tile}}
    /// Least overlap of neighbouring tiles, in pixels of the photo.
    static let overlap = {{overlap}}
    /// Mirrored pixels around the photo; all tiles begin on a multiple of it.
    static let margin = {{margin}}
    /// Pixels of the photo over which one tile takes over from the one before it, in the middle of their overlap.
    static let ramp = {{ramp}}
    /// Pixels of the result for a pixel of the photo, along each axis.
    static let scale = {{scale}}
    /// What the blend weights of all tiles at a pixel of the result add up to, along each axis.
    static let weightSum = {{weight_sum}}
    /// Name of the picture that goes in.
    static let input = "{{input}}"
    /// Name of the picture that comes out.
    static let output = "{{output}}"
}

// MARK: - Tiles and weights, in whole numbers

/// Where the tiles lie along one axis of a photo, and how their results are blended.
///
/// The photo lies in a grid of windows, with at least one margin of mirrored photo before and behind it. All tiles have
/// one side; the first begins where the grid does, the last ends where it does.
struct TilePlan {
    /// Pixels of the photo along this axis.
    let size: Int
    /// Pixels of the grid: the photo, its margins, and what fills the last window or the only tile.
    let padded: Int
    /// First pixel of each tile in the grid, ascending.
    let starts: [Int]

    /// - Parameter size: Pixels of the photo along this axis, at least 1.
    init(size: Int) {
        self.size = size
        padded = TilePlan.paddedSize(size)
        starts = TilePlan.tileStarts(padded)
    }

    /// For each pixel of the grid the pixel of the photo that it shows, mirrored at both ends; the edge is repeated.
    var sources: [Int] { TilePlan.mirrored(size, padded) }

    /// For each pixel of a tile's result its share in the blend, in steps of 1/{{weight_sum}}.
    func weights(_ index: Int) -> [Int] { TilePlan.tileWeights(starts, index) }

    static func paddedSize(_ size: Int) -> Int {
        let windows = (size + 2 * TileRecipe.margin + TileRecipe.margin - 1) / TileRecipe.margin
        return max(windows * TileRecipe.margin, TileRecipe.tile)
    }

    static func tileStarts(_ padded: Int) -> [Int] {
        let step = TileRecipe.tile - TileRecipe.overlap
        let count = 1 + (padded - TileRecipe.tile + step - 1) / step
        let windows = (padded - TileRecipe.tile) / TileRecipe.margin
        var starts: [Int] = []
        for index in 0..<count {
            starts.append(index * windows / max(count - 1, 1) * TileRecipe.margin)
        }
        return starts
    }

    static func mirrored(_ size: Int, _ padded: Int) -> [Int] {
        let period = 2 * size
        var sources: [Int] = []
        for place in 0..<padded {
            let turned = (place - TileRecipe.margin) % period
            let at = turned < 0 ? turned + period : turned
            sources.append(min(at, period - 1 - at))
        }
        return sources
    }

    static func tileWeights(_ starts: [Int], _ index: Int) -> [Int] {
        let width = TileRecipe.ramp * TileRecipe.scale
        let first = starts[index] * TileRecipe.scale
        var weights: [Int] = []
        for pixel in first..<(first + TileRecipe.tile * TileRecipe.scale) {
            var weight = TileRecipe.weightSum
            if index > 0 {
                weight = smoothStep(pixel - rampStart(starts, index - 1), width)
            }
            if index + 1 < starts.count {
                weight -= smoothStep(pixel - rampStart(starts, index), width)
            }
            weights.append(weight)
        }
        return weights
    }

    /// The pixel of the enlarged grid where the tile after `index` begins to take over.
    static func rampStart(_ starts: [Int], _ index: Int) -> Int {
        let ends = starts[index + 1] + starts[index] + TileRecipe.tile
        return (ends - TileRecipe.ramp) * TileRecipe.scale / 2
    }

    /// The ramp `3t² - 2t³` at the centre of pixel `at` of `width`, in steps of 1/{{weight_sum}}, rounded.
    static func smoothStep(_ at: Int, _ width: Int) -> Int {
        if at < 0 {
            return 0
        }
        if at >= width {
            return TileRecipe.weightSum
        }
        let part = 2 * at + 1
        let whole = 2 * width
        let cube = whole * whole * whole
        return (2 * TileRecipe.weightSum * part * part * (3 * whole - 2 * part) + cube) / (2 * cube)
    }

    /// The 8-bit value of a weighted sum of 8-bit values: nearest, and the even one half way, as the page rounds.
    static func rounded(_ sum: Int) -> Int {
        let unit = TileRecipe.weightSum * TileRecipe.weightSum
        let below = sum / unit
        let rest = 2 * (sum % unit)
        if rest > unit || (rest == unit && below % 2 == 1) {
            return below + 1
        }
        return below
    }
}

// MARK: - Is it the page's recipe?

extension TilePlan {
    /// Made by the page's own code for some sizes: the grid, digests of its sources and of all weights, and the tiles.
    static let checks: [(size: Int, padded: Int, sources: Int, weights: Int, starts: [Int])] = [
{{checks}}
    ]

    /// The sizes at which this file's arithmetic is not the page's: none, unless something in it was changed.
    static func selfCheck() -> [Int] {
        var differing: [Int] = []
        for check in checks {
            let padded = paddedSize(check.size)
            let starts = tileStarts(padded)
            var weights: [Int] = []
            for index in 0..<starts.count {
                weights += tileWeights(starts, index)
            }
            let isSame =
                padded == check.padded && starts == check.starts
                && digest(mirrored(check.size, padded)) == check.sources && digest(weights) == check.weights
            if !isSame {
                differing.append(check.size)
            }
        }
        return differing
    }

    static func digest(_ values: [Int]) -> Int {
        var sum = 0
        for value in values {
            sum = (31 * sum + value) % 1_000_000_007
        }
        return sum
    }
}

// MARK: - What can go wrong

enum PocketError: LocalizedError {
    case changedRecipe(sizes: [Int])
    case otherModel
    case unsupportedColours
    case transparency
    case memory
    case unexpectedResult

    var errorDescription: String? {
        switch self {
        case .changedRecipe(let sizes):
            return "The tiles of this file are not those of the page, for photos with a side of \(sizes)."
        case .otherModel:
            return "The model does not take the picture “\(TileRecipe.input)” of \(TileRecipe.tile) pixels a side "
                + "or does not give the picture “\(TileRecipe.output)”."
        case .unsupportedColours:
            return "The photo's colours cannot be held in 8 bits; convert it to sRGB first."
        case .transparency:
            return "The photo has transparent pixels; put it on a background first."
        case .memory:
            return "There is not enough memory for the enlarged photo."
        case .unexpectedResult:
            return "The model gave a picture of another size or format than its description promises."
        }
    }
}

// MARK: - The upscaler

/// Enlarges photos tile by tile, away from the main thread.
actor PocketUpscaler {
    private let model: MLModel

    /// - Parameter model: `.model` of the class that Xcode makes from the package.
    init(model: MLModel) throws {
        let differing = TilePlan.selfCheck()
        guard differing.isEmpty else { throw PocketError.changedRecipe(sizes: differing) }
        let description = model.modelDescription
        let input = description.inputDescriptionsByName[TileRecipe.input]?.imageConstraint
        let output = description.outputDescriptionsByName[TileRecipe.output]
        guard input?.pixelsWide == TileRecipe.tile, input?.pixelsHigh == TileRecipe.tile, output?.type == .image else {
            throw PocketError.otherModel
        }
        self.model = model
    }

    /// - Parameters:
    ///   - url: A compiled model (`.mlmodelc`). `try await MLModel.compileModel(at:)` makes one from a package that was
    ///     downloaded while the app runs; keep it, compiling takes long.
    ///   - computeUnits: Where the model may run.
    init(compiledModelAt url: URL, computeUnits: MLComputeUnits = .all) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = computeUnits
        try self.init(model: MLModel(contentsOf: url, configuration: configuration))
    }

    /// Returns the photo with {{scale}} times the height and width.
    ///
    /// - Parameters:
    ///   - photo: Any size from 1 × 1.
    ///   - progress: Is told after each tile what part is done, from 0 to 1.
    /// - Throws: `PocketError`, `CancellationError`, or what Core ML throws.
    func upscale(_ photo: CGImage, progress: @Sendable (Double) -> Void = { _ in }) async throws -> CGImage {
        let job = try Job(photo, model: model)
        let total = Double(job.rows.starts.count * job.columns.starts.count)
        var done = 0.0
        for row in job.rows.starts.indices {
            for column in job.columns.starts.indices {
                try Task.checkCancellation()
                try job.runTile(row: row, column: column)
                done += 1
                progress(done / total)
                await Task.yield()
            }
            job.finishRow(row)
        }
        return try job.image()
    }
}

/// One photo on its way through the model.
private final class Job {
    let rows: TilePlan
    let columns: TilePlan
    private let model: MLModel
    private let photo: Canvas
    private let result: Canvas
    private let band: Band
    private let tile: CVPixelBuffer
    private let sources: (rows: [Int], columns: [Int])
    private let weights: (rows: [[Int]], columns: [[Int]])

    init(_ image: CGImage, model: MLModel) throws {
        self.model = model
        photo = try Canvas(image)
        rows = TilePlan(size: photo.height)
        columns = TilePlan(size: photo.width)
        result = try Canvas(
            height: photo.height * TileRecipe.scale, width: photo.width * TileRecipe.scale, space: photo.space,
            alpha: .noneSkipLast, failure: .memory)
        band = Band(columns: columns)
        sources = (rows.sources, columns.sources)
        weights = (rows.starts.indices.map(rows.weights), columns.starts.indices.map(columns.weights))
        var buffer: CVPixelBuffer?
        let status = CVPixelBufferCreate(
            nil, TileRecipe.tile, TileRecipe.tile, kCVPixelFormatType_32BGRA, nil, &buffer)
        guard status == kCVReturnSuccess, let buffer else { throw PocketError.memory }
        tile = buffer
    }

    func runTile(row: Int, column: Int) throws {
        try autoreleasepool {  // else what Core ML makes for each tile is kept to the end
            try cut(top: rows.starts[row], left: columns.starts[column])
            let input = try MLDictionaryFeatureProvider(
                dictionary: [TileRecipe.input: MLFeatureValue(pixelBuffer: tile)])
            let output = try model.prediction(from: input)
            guard let enlarged = output.featureValue(for: TileRecipe.output)?.imageBufferValue else {
                throw PocketError.unexpectedResult
            }
            try band.add(
                enlarged, left: columns.starts[column], rowWeights: weights.rows[row],
                columnWeights: weights.columns[column])
        }
    }

    func finishRow(_ row: Int) {
        let end = row + 1 < rows.starts.count ? rows.starts[row + 1] : rows.padded
        band.moveRows(top: rows.starts[row], end: end, to: result)
    }

    func image() throws -> CGImage {
        guard let image = result.context.makeImage() else { throw PocketError.memory }
        return image
    }

    private func cut(top: Int, left: Int) throws {
        CVPixelBufferLockBaseAddress(tile, [])
        defer { CVPixelBufferUnlockBaseAddress(tile, []) }
        guard let base = CVPixelBufferGetBaseAddress(tile) else { throw PocketError.memory }
        let rowBytes = CVPixelBufferGetBytesPerRow(tile)
        for row in 0..<TileRecipe.tile {
            let line = photo.bytes + sources.rows[top + row] * photo.rowBytes
            let pixels = base.assumingMemoryBound(to: UInt8.self) + row * rowBytes
            for column in 0..<TileRecipe.tile {
                let colour = line + 4 * sources.columns[left + column]
                pixels[4 * column] = colour[2]
                pixels[4 * column + 1] = colour[1]
                pixels[4 * column + 2] = colour[0]
                pixels[4 * column + 3] = 255
            }
        }
    }
}

// MARK: - Pixels

/// A bitmap of four bytes for a pixel: red, green, blue and one that is not used.
private final class Canvas {
    let context: CGContext
    let space: CGColorSpace
    let height: Int
    let width: Int
    let rowBytes: Int
    let bytes: UnsafeMutablePointer<UInt8>

    init(height: Int, width: Int, space: CGColorSpace, alpha: CGImageAlphaInfo, failure: PocketError) throws {
        guard
            let context = CGContext(
                data: nil, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width, space: space,
                bitmapInfo: alpha.rawValue)
        else { throw failure }
        guard let data = context.data else { throw PocketError.memory }
        self.context = context
        self.space = space
        self.height = height
        self.width = width
        rowBytes = context.bytesPerRow
        bytes = data.assumingMemoryBound(to: UInt8.self)
    }

    /// The photo's pixels, upright in memory: the first row is the top one.
    convenience init(_ photo: CGImage) throws {
        var space = CGColorSpace(name: CGColorSpace.sRGB)
        if let own = photo.colorSpace, own.model == .rgb, own.supportsOutput {
            space = own  // no conversion: the network sees the stored values, as on the page
        }
        guard let space else { throw PocketError.unsupportedColours }
        let opaque: [CGImageAlphaInfo] = [.none, .noneSkipFirst, .noneSkipLast]
        let isOpaque = opaque.contains(photo.alphaInfo)
        try self.init(
            height: photo.height, width: photo.width, space: space,
            alpha: isOpaque ? .noneSkipLast : .premultipliedLast, failure: .unsupportedColours)
        context.interpolationQuality = .none
        context.setBlendMode(.copy)
        context.draw(photo, in: CGRect(x: 0, y: 0, width: photo.width, height: photo.height))
        if !isOpaque {
            for row in 0..<height {
                for column in 0..<width where bytes[row * rowBytes + 4 * column + 3] != 255 {
                    throw PocketError.transparency
                }
            }
        }
    }
}

/// Rows of the result that tiles are still added to: as many as a tile has, as wide as the grid.
///
/// The weights at a pixel add up to {{weight_sum}} × {{weight_sum}}, and 255 times that is less than 2³²: the sums are exact.
private final class Band {
    private let columns: TilePlan
    private let side = TileRecipe.tile * TileRecipe.scale
    private let rowSums: Int
    private var sums: [UInt32]

    init(columns: TilePlan) {
        self.columns = columns
        rowSums = 3 * columns.padded * TileRecipe.scale
        sums = [UInt32](repeating: 0, count: side * rowSums)
    }

    func add(_ enlarged: CVPixelBuffer, left: Int, rowWeights: [Int], columnWeights: [Int]) throws {
        guard CVPixelBufferGetPixelFormatType(enlarged) == kCVPixelFormatType_32BGRA,
            CVPixelBufferGetWidth(enlarged) == side, CVPixelBufferGetHeight(enlarged) == side
        else { throw PocketError.unexpectedResult }
        CVPixelBufferLockBaseAddress(enlarged, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(enlarged, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(enlarged) else { throw PocketError.unexpectedResult }
        let rowBytes = CVPixelBufferGetBytesPerRow(enlarged)
        let first = 3 * left * TileRecipe.scale
        sums.withUnsafeMutableBufferPointer { sums in
            for row in 0..<side where rowWeights[row] > 0 {
                let pixels = base.assumingMemoryBound(to: UInt8.self) + row * rowBytes
                for column in 0..<side {
                    let weight = UInt32(rowWeights[row] * columnWeights[column])
                    let at = row * rowSums + first + 3 * column
                    sums[at] += weight * UInt32(pixels[4 * column + 2])
                    sums[at + 1] += weight * UInt32(pixels[4 * column + 1])
                    sums[at + 2] += weight * UInt32(pixels[4 * column])
                }
            }
        }
    }

    /// Rounds the rows that no later tile reaches into the result, without the margins, and moves the others up.
    func moveRows(top: Int, end: Int, to result: Canvas) {
        let finished = (end - top) * TileRecipe.scale
        let margin = TileRecipe.margin * TileRecipe.scale
        let inside = top * TileRecipe.scale - margin
        sums.withUnsafeMutableBufferPointer { sums in
            for row in 0..<finished where inside + row >= 0 && inside + row < result.height {
                let pixels = result.bytes + (inside + row) * result.rowBytes
                for column in 0..<result.width {
                    let at = row * rowSums + 3 * (margin + column)
                    for channel in 0..<3 {
                        pixels[4 * column + channel] = UInt8(TilePlan.rounded(Int(sums[at + channel])))
                    }
                    pixels[4 * column + 3] = 255
                }
            }
            let kept = sums.count - finished * rowSums
            for at in 0..<kept {
                sums[at] = sums[at + finished * rowSums]
            }
            for at in kept..<sums.count {
                sums[at] = 0
            }
        }
    }
}
