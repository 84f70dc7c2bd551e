// Stand-ins for what the Swift sample uses of Apple's frameworks, so that it can be compiled and run elsewhere.
// Signatures follow Apple's documentation; behind them is only what the sample's test needs.

import Foundation

func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result { try body() }

// MARK: Core Graphics

final class CGColorSpace: @unchecked Sendable {
    enum Model { case rgb, monochrome }

    static let sRGB = "sRGB"
    let name: String
    let model: Model
    let supportsOutput = true

    init?(name: String) {
        self.name = name
        model = name == "grey" ? .monochrome : .rgb
    }
}

enum CGImageAlphaInfo: UInt32 { case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst }

enum CGInterpolationQuality { case `default`, none }

enum CGBlendMode { case normal, copy }

final class CGImage: @unchecked Sendable {
    let height: Int
    let width: Int
    let colorSpace: CGColorSpace?
    let alphaInfo: CGImageAlphaInfo
    let pixels: [UInt8]  // four bytes for a pixel, rows from the top

    init(height: Int, width: Int, space: CGColorSpace?, alpha: CGImageAlphaInfo, pixels: [UInt8]) {
        (self.height, self.width, colorSpace, alphaInfo, self.pixels) = (height, width, space, alpha, pixels)
    }
}

final class CGContext {
    let data: UnsafeMutableRawPointer?
    let bytesPerRow: Int
    var interpolationQuality = CGInterpolationQuality.default
    private let (height, width): (Int, Int)
    private let space: CGColorSpace
    private let alpha: CGImageAlphaInfo

    init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) {
        guard bitsPerComponent == 8, data == nil, bytesPerRow == 4 * width, space.model == .rgb,
            let alpha = CGImageAlphaInfo(rawValue: bitmapInfo), alpha == .noneSkipLast || alpha == .premultipliedLast
        else { return nil }
        self.bytesPerRow = bytesPerRow + 12  // rows may be longer than their pixels
        self.data = UnsafeMutableRawPointer.allocate(byteCount: height * self.bytesPerRow, alignment: 16)
        self.data?.initializeMemory(as: UInt8.self, repeating: 77, count: height * self.bytesPerRow)
        (self.height, self.width, self.space, self.alpha) = (height, width, space, alpha)
    }

    deinit { data?.deallocate() }

    func setBlendMode(_ mode: CGBlendMode) {}

    func draw(_ image: CGImage, in rect: CGRect) {
        precondition(rect == CGRect(x: 0, y: 0, width: width, height: height))
        precondition(image.height == height && image.width == width)
        for row in 0..<height {
            for at in 0..<(4 * width) {
                data?.storeBytes(of: image.pixels[row * 4 * width + at], toByteOffset: row * bytesPerRow + at, as: UInt8.self)
            }
        }
    }

    func makeImage() -> CGImage? {
        var pixels: [UInt8] = []
        for row in 0..<height {
            for at in 0..<(4 * width) {
                pixels.append(data!.load(fromByteOffset: row * bytesPerRow + at, as: UInt8.self))
            }
        }
        return CGImage(height: height, width: width, space: space, alpha: alpha, pixels: pixels)
    }
}

// MARK: Core Video

final class CFAllocator {}
final class CFDictionary {}

typealias OSType = UInt32
typealias CVReturn = Int32
let kCVReturnSuccess: CVReturn = 0
let kCVPixelFormatType_32BGRA: OSType = 0x4247_5241

struct CVPixelBufferLockFlags: OptionSet {
    let rawValue: UInt64
    static let readOnly = CVPixelBufferLockFlags(rawValue: 1)
}

final class CVPixelBuffer {
    let (height, width): (Int, Int)
    let format: OSType
    let base: UnsafeMutableRawPointer
    var locks = 0

    init(height: Int, width: Int, format: OSType) {
        (self.height, self.width, self.format) = (height, width, format)
        base = UnsafeMutableRawPointer.allocate(byteCount: height * (4 * width + 64), alignment: 64)
    }

    deinit {
        precondition(locks == 0)
        base.deallocate()
    }
}

func CVPixelBufferCreate(
    _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType, _ attributes: CFDictionary?,
    _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
    pixelBufferOut.pointee = CVPixelBuffer(height: height, width: width, format: pixelFormatType)
    return kCVReturnSuccess
}

@discardableResult
func CVPixelBufferLockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn {
    buffer.locks += 1
    return kCVReturnSuccess
}

@discardableResult
func CVPixelBufferUnlockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn {
    buffer.locks -= 1
    return kCVReturnSuccess
}

func CVPixelBufferGetBaseAddress(_ buffer: CVPixelBuffer) -> UnsafeMutableRawPointer? { buffer.locks > 0 ? buffer.base : nil }
func CVPixelBufferGetBytesPerRow(_ buffer: CVPixelBuffer) -> Int { 4 * buffer.width + 64 }
func CVPixelBufferGetWidth(_ buffer: CVPixelBuffer) -> Int { buffer.width }
func CVPixelBufferGetHeight(_ buffer: CVPixelBuffer) -> Int { buffer.height }
func CVPixelBufferGetPixelFormatType(_ buffer: CVPixelBuffer) -> OSType { buffer.format }

// MARK: Core ML

enum MLComputeUnits { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }
enum MLFeatureType { case image, multiArray }

final class MLModelConfiguration { var computeUnits = MLComputeUnits.all }

final class MLImageConstraint {
    let pixelsHigh: Int
    let pixelsWide: Int

    init(side: Int) { (pixelsHigh, pixelsWide) = (side, side) }
}

final class MLFeatureDescription {
    let type: MLFeatureType
    let imageConstraint: MLImageConstraint?

    init(side: Int) { (type, imageConstraint) = (.image, MLImageConstraint(side: side)) }
}

final class MLModelDescription {
    let inputDescriptionsByName: [String: MLFeatureDescription]
    let outputDescriptionsByName: [String: MLFeatureDescription]

    init(inputs: [String: MLFeatureDescription], outputs: [String: MLFeatureDescription]) {
        (inputDescriptionsByName, outputDescriptionsByName) = (inputs, outputs)
    }
}

final class MLFeatureValue {
    let imageBufferValue: CVPixelBuffer?

    init(pixelBuffer: CVPixelBuffer) { imageBufferValue = pixelBuffer }
}

protocol MLFeatureProvider { func featureValue(for featureName: String) -> MLFeatureValue? }

final class MLDictionaryFeatureProvider: MLFeatureProvider {
    private let values: [String: Any]

    init(dictionary: [String: Any]) throws { values = dictionary }

    func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] as? MLFeatureValue }
}

/// Takes a square and gives one of `scale` times the side; `compute` works on three bytes for a pixel.
final class MLModel {
    let modelDescription: MLModelDescription
    private let compute: ([UInt8]) -> [UInt8]

    init(description: MLModelDescription, compute: @escaping ([UInt8]) -> [UInt8]) {
        (modelDescription, self.compute) = (description, compute)
    }

    convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        throw CocoaError(.fileNoSuchFile)
    }

    func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider {
        guard let tile = input.featureValue(for: "image")?.imageBufferValue else { throw CocoaError(.coderInvalidValue) }
        precondition(tile.locks == 0 && tile.format == kCVPixelFormatType_32BGRA)
        var colours: [UInt8] = []
        for row in 0..<tile.height {
            for column in 0..<tile.width {
                for channel in [2, 1, 0] {
                    let at = row * CVPixelBufferGetBytesPerRow(tile) + 4 * column + channel
                    colours.append(tile.base.load(fromByteOffset: at, as: UInt8.self))
                }
            }
        }
        let results = compute(colours)
        let side = modelDescription.outputDescriptionsByName["upscaled"]!.imageConstraint!.pixelsWide
        let buffer = CVPixelBuffer(height: side, width: side, format: kCVPixelFormatType_32BGRA)
        for pixel in 0..<(side * side) {
            for channel in 0..<3 {
                let at = pixel / side * CVPixelBufferGetBytesPerRow(buffer) + 4 * (pixel % side) + 2 - channel
                buffer.base.storeBytes(of: results[3 * pixel + channel], toByteOffset: at, as: UInt8.self)
            }
        }
        return try MLDictionaryFeatureProvider(dictionary: ["upscaled": MLFeatureValue(pixelBuffer: buffer)])
    }
}
